"""Children that were forked from a driver."""

import multiprocessing
import os
import traceback
from collections.abc import Callable
from typing import Any

import pytest

import ray_async as ray

pytestmark = pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning")


@ray.remote
def pid_of_driver() -> int:
    return os.getpid()


def in_child(action: Callable[[], None]) -> int:
    """Exit status of a forked child that does this."""
    pid = os.fork()
    if pid == 0:
        try:
            action()
        except BaseException:
            traceback.print_exc()
            os._exit(1)
        os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def test_the_connection_is_not_shared_with_a_child() -> None:
    ref = ray.put([1, 2])
    later = pid_of_driver.remote()

    def child() -> None:
        for call in (lambda: ray.get(ref), lambda: ray.put(1), lambda: pid_of_driver.remote()):
            with pytest.raises(ray.exceptions.RaySystemError, match="forked"):
                call()
        assert not ray.is_initialized()

    assert in_child(child) == 0
    assert ray.get(ref) == [1, 2]
    assert ray.get(later)


def test_references_that_a_child_drops_stay_the_parents() -> None:
    held = [ray.put(b"x" * 1000) for _ in range(10)]
    array = ray.get(held[0])

    def child() -> None:
        nonlocal array
        held.clear()
        del array

    assert in_child(child) == 0
    others = [ray.put(b"y" * 1000) for _ in range(100)]
    assert ray.get(held) == [b"x" * 1000] * 10
    assert ray.get(others) == [b"y" * 1000] * 100


def test_a_child_may_have_a_session_of_its_own() -> None:
    held = ray.put(b"x" * 1000)

    def child() -> None:
        ray.init("local", num_cpus=1, log_to_driver=False)
        assert ray.get(pid_of_driver.remote()) != os.getpid()
        ray.shutdown()

    assert in_child(child) == 0
    assert ray.get(held) == b"x" * 1000
    assert ray.get(pid_of_driver.remote())


def forked(queue: Any) -> None:
    try:
        ray.put(1)
    except ray.exceptions.RaySystemError as error:
        queue.put(str(error))


def test_multiprocessing_that_forks() -> None:
    context = multiprocessing.get_context("fork")
    queue = context.SimpleQueue()
    process = context.Process(target=forked, args=(queue,))
    process.start()
    assert "forked" in queue.get()
    process.join()
    assert process.exitcode == 0
    process.close()
    queue.close()
    assert ray.get(pid_of_driver.remote())
