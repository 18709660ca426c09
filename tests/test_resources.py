"""The leak checks find what they are for, and the detector of blocked loops too."""

import asyncio
import os
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.loop_watch import LoopWatch
from tests.resources import TMPDIR_VARIABLE, Resources, becomes_true, leaks, wait_until


def test_nothing_changed_is_no_leak() -> None:
    before = Resources.now()
    assert leaks(before, timeout=0) == []


def test_a_descriptor_left_open_is_found(tmp_path: Path) -> None:
    before = Resources.now()
    descriptor = os.open(tmp_path, os.O_RDONLY)
    try:
        (line,) = leaks(before, timeout=0)
        assert line == f"descriptor: {descriptor} -> {tmp_path}"
    finally:
        os.close(descriptor)
    assert leaks(before, timeout=0) == []


def test_a_thread_left_running_is_found() -> None:
    before = Resources.now()
    end = threading.Event()
    thread = threading.Thread(target=end.wait, name="left-over")
    thread.start()
    try:
        (line,) = leaks(before, timeout=0)
        assert line.startswith("thread:") and "left-over" in line
    finally:
        end.set()
        thread.join()


def test_a_process_that_init_adopted_is_found() -> None:
    before = Resources.now()
    # The child starts a grandchild and ends, as a node process does that loses its workers.
    script = (
        "import subprocess, sys;"
        "command = [sys.executable, '-c', 'import sys; sys.stdin.read()'];"
        "p = subprocess.Popen(command, stdin=0, stdout=subprocess.DEVNULL);"
        "print(p.pid, flush=True)"
    )
    read, write = os.pipe()
    try:
        child = subprocess.run([sys.executable, "-c", script], stdin=read, capture_output=False, stdout=subprocess.PIPE)
        os.close(read)
        grandchild = int(child.stdout)
        assert grandchild in Resources.now().processes
        assert any(f"pid {grandchild} " in line for line in leaks(before, timeout=0))
    finally:
        os.close(write)
    assert leaks(before) == []


def test_a_session_folder_left_is_found() -> None:
    before = Resources.now()
    folder = Path(os.environ[TMPDIR_VARIABLE], "session_left")
    folder.mkdir()
    assert leaks(before, timeout=0) == [f"file: {folder}"]
    folder.rmdir()


def test_native_objects_are_compared_by_count() -> None:
    empty = Resources({}, {}, {}, {}, {}, {"Arena": 1})
    more = Resources({}, {}, {}, {}, {}, {"Arena": 1, "Pin": 2})
    assert more.beyond(empty) == ["native object: Pin, 0 before and 2 after"]
    assert empty.beyond(empty) == []


def test_wait_until_gives_up() -> None:
    assert not becomes_true(lambda: False, timeout=0)
    with pytest.raises(AssertionError, match="did not become true within 0 s"):
        wait_until(lambda: False, timeout=0)
    wait_until(lambda: True, timeout=0)


@pytest.mark.blocks_loop
async def test_a_blocked_loop_is_found_and_named() -> None:
    watch = LoopWatch(period=0.001, looks=2)

    def block_the_loop() -> None:
        # Waits, on the loop's thread, for the very thing under test.
        lock = threading.Lock()
        lock.acquire()

        def release() -> None:
            wait_until(is_named)  # on a busy machine other stalls may come before
            lock.release()

        threading.Thread(target=release).start()
        lock.acquire()

    def is_named() -> bool:
        return any("block_the_loop" in stall for stall in watch.stalls)

    block_the_loop()
    await asyncio.to_thread(watch.close)
    assert is_named()


@pytest.mark.blocks_loop
async def test_an_idle_loop_is_not_blocked() -> None:
    watch = LoopWatch(period=0.02, looks=2)
    # No beats: all that tells this loop from a blocked one is that its thread waits in the selector.
    watch._handle.cancel()
    await asyncio.sleep(0.2)
    await asyncio.to_thread(watch.close)
    assert watch.stalls == []


async def test_async_tests_are_watched(request: pytest.FixtureRequest, wait_until: Callable[..., None]) -> None:
    assert "unblocked_loop" in request.fixturenames
    wait_until(lambda: any(thread.name == "loop-watch" for thread in threading.enumerate()))
