"""Driver processes: the protocol, failures, and that nothing of them is left."""

import os
import select
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from bench.contender import DriverContender, Launch
from bench.drivers import processes
from bench.harness import MeasurementError

DRIVER = """
import os, subprocess, sys, time
from bench.drivers import protocol

def leave_child(params):
    return {"child": subprocess.Popen(["sleep", "600"], start_new_session=True).pid}

def fail(params):
    raise ValueError("not today")

def die(params):
    print("last words", file=sys.stderr, flush=True)
    os._exit(3)

def hang(params):
    time.sleep(600)

def echo(params):
    print("noise on stdout")
    return {"wall": params["value"], "pid": os.getpid()}

protocol.serve({"echo": echo, "fail": fail, "die": die, "hang": hang, "leave_child": leave_child}, "7.1")
"""


@dataclass(frozen=True)
class ScriptLaunch(Launch):
    """Starts a script in place of a module of the suite."""

    def command(self) -> list[str]:
        return [self.python, self.module]


@pytest.fixture
def contender(tmp_path: Path) -> Iterator[DriverContender]:
    script = tmp_path / "driver.py"
    script.write_text(DRIVER)
    found = DriverContender(ScriptLaunch("Scripted", sys.executable, str(script)), timeout=30)
    yield found
    found.close()


def test_cases_and_version_come_from_the_driver(contender: DriverContender) -> None:
    assert contender.supports("echo")
    assert not contender.supports("dance")
    assert contender.version == "7.1"


def test_metrics_come_back_whatever_is_printed(contender: DriverContender) -> None:
    assert contender.measure("echo", {"value": 2.5}, fresh=False)["wall"] == 2.5


def test_a_driver_is_kept_unless_a_fresh_one_is_asked_for(contender: DriverContender) -> None:
    pids = [contender.measure("echo", {"value": 1}, fresh)["pid"] for fresh in (False, False, True)]
    assert pids[0] == pids[1] != pids[2]


def test_an_exception_is_told_and_the_driver_goes_on(contender: DriverContender) -> None:
    with pytest.raises(MeasurementError, match="ValueError: not today"):
        contender.measure("fail", {}, fresh=False)
    assert contender.measure("echo", {"value": 1}, fresh=False)["wall"] == 1


@pytest.mark.parametrize("fresh", [False, True])
def test_a_driver_that_dies_is_quoted_and_replaced(contender: DriverContender, fresh: bool) -> None:
    with pytest.raises(MeasurementError, match="last words"):
        contender.measure("die", {}, fresh)
    assert contender.measure("echo", {"value": 1}, fresh)["wall"] == 1


def test_a_case_that_takes_too_long_is_given_up(contender: DriverContender) -> None:
    contender.measure("echo", {"value": 1}, fresh=False)
    contender.timeout = 0.2
    with pytest.raises(MeasurementError, match=r"hang took longer than 0\.2 s"):
        contender.measure("hang", {}, fresh=False)


def test_children_are_ended_with_their_driver(contender: DriverContender) -> None:
    child = int(contender.measure("leave_child", {}, fresh=False)["child"])
    assert Path(f"/proc/{child}/stat").exists()
    contender.close()
    status = Path(f"/proc/{child}/stat")
    assert not status.exists() or status.read_text().rpartition(")")[2].split()[0] == "Z"


def test_children_are_ended_with_a_killed_harness(tmp_path: Path) -> None:
    script = tmp_path / "driver.py"
    script.write_text(DRIVER)
    harness = f"""
import sys
from bench.contender import DriverContender, Launch
from tests.bench.test_contender import ScriptLaunch

contender = DriverContender(ScriptLaunch("Scripted", sys.executable, {str(script)!r}), timeout=30)
print(int(contender.measure("leave_child", {{}}, fresh=False)["child"]), flush=True)
contender.measure("hang", {{}}, fresh=False)
"""
    with subprocess.Popen([sys.executable, "-c", harness], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        child = os.pidfd_open(int(process.stdout.readline()))
        process.kill()
    try:
        assert select.select([child], [], [], 30)[0], "a child of the driver lives"
    finally:
        os.close(child)


def test_a_missing_interpreter_is_an_absence() -> None:
    absent = DriverContender(Launch("Gone", "/nonexistent/python", "peer_dask"), timeout=5)
    assert not absent.supports("task_sync")
    assert "cannot be run" in absent.absent


def test_memory_is_watched_on_request(contender: DriverContender) -> None:
    assert contender.measure("echo", {"value": 1, "watch_memory": True}, fresh=True)["peak"] >= 0


def test_shared_memory_counts_once_and_not_as_private() -> None:
    size = 8 * 1024 * 1024
    private, shared = processes.private_bytes(os.getpid()), processes.shared_bytes([os.getpid()])
    import mmap

    file = os.memfd_create("bench-test")
    try:
        os.ftruncate(file, size)
        with mmap.mmap(file, size) as memory:
            memory[:] = b"x" * size
            assert processes.shared_bytes([os.getpid(), os.getpid()]) - shared >= size
            assert processes.private_bytes(os.getpid()) - private < 20 * 1024 * 1024
            grown = processes.private_bytes(os.getpid()) - private
    finally:
        os.close(file)
    assert grown < 2 * size
