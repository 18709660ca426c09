"""Tasks and actors that end their process: the caller is told who, how and why."""

import contextlib
import ctypes
import os
import signal
import subprocess
import sys
import time

import pytest

import ray_async as ray
from ray_async.exceptions import ActorDiedError, RayTaskError, WorkerCrashedError
from tests.faults.session import state_of


@ray.remote
def one():
    return 1


def ends():
    """Ways to end a process, and what the message must say of each."""

    def segfault():
        print("the last line", file=sys.stderr, flush=True)
        ctypes.string_at(0)

    def abort():
        os.abort()

    def exit_hard():
        print("the last line", file=sys.stderr, flush=True)
        os._exit(42)

    def exit_soft():
        sys.exit(3)

    def terminate():
        os.kill(os.getpid(), signal.SIGKILL)

    return [
        (segfault, ["SIGSEGV", "the last line", "in segfault"]),
        (abort, ["SIGABRT", "in abort"]),
        (exit_hard, ["exit code 42", "the last line"]),
        (exit_soft, ["exit code 3"]),
        (terminate, ["SIGKILL"]),
    ]


@pytest.mark.parametrize("way", range(5))
def test_a_task_that_ends_its_process(start, way):
    start()
    function, words = ends()[way]
    with pytest.raises(WorkerCrashedError) as caught:
        ray.get(ray.remote(max_retries=0)(function).remote(), timeout=60)
    for word in [*words, function.__name__]:
        assert word in str(caught.value)
    assert ray.get(one.remote(), timeout=60) == 1


@pytest.mark.parametrize("way", [0, 1, 2, 4])
def test_an_actor_that_ends_its_process(start, way):
    start()
    function, words = ends()[way]

    @ray.remote
    class Victim:
        def end(self):
            function()

        def idle(self):
            return 1

    actor = Victim.remote()
    with pytest.raises(ActorDiedError) as caught:
        ray.get(actor.end.remote(), timeout=60)
    for word in [*words, "Victim"]:
        assert word in str(caught.value)
    with pytest.raises(ActorDiedError):
        ray.get(actor.idle.remote(), timeout=60)
    assert ray.get(one.remote(), timeout=60) == 1


def test_an_actor_that_exits_in_its_constructor(start):
    start()

    @ray.remote
    class Exits:
        def __init__(self):
            os._exit(9)

        def call(self):
            return 1

    with pytest.raises(ActorDiedError, match="exit code 9"):
        ray.get(Exits.remote().call.remote(), timeout=60)


def test_an_actor_whose_constructor_raises(start):
    start()

    @ray.remote(max_restarts=5)
    class Raises:
        def __init__(self):
            raise KeyError("no such thing")

        def call(self):
            return 1

    with pytest.raises(ActorDiedError, match="no such thing"):
        ray.get(Raises.remote().call.remote(), timeout=60)


def test_an_actor_killed_while_its_constructor_hangs(start, tmp_path, wait_until):
    start()
    mark = tmp_path / "pid"

    @ray.remote
    class Hangs:
        def __init__(self):
            mark.with_suffix(".new").write_text(str(os.getpid()))
            mark.with_suffix(".new").rename(mark)
            time.sleep(1000)

        def call(self):
            return 1

    actor = Hangs.remote()
    ref = actor.call.remote()
    wait_until(mark.exists)
    ray.kill(actor)
    with pytest.raises(ActorDiedError, match="kill"):
        ray.get(ref, timeout=60)
    wait_until(lambda: state_of(int(mark.read_text())) in ("", "Z"))
    assert ray.get(one.remote(), timeout=60) == 1


def test_a_task_that_closes_its_output(start):
    start()

    @ray.remote
    def close():
        sys.stdout.close()
        os.close(1)
        os.close(2)
        return os.getpid()

    assert ray.get([close.remote()], timeout=60)[0] > 0
    assert ray.get([one.remote() for _ in range(50)], timeout=60) == [1] * 50


def test_a_child_that_holds_the_output_open(start, tmp_path, wait_until):
    start()

    @ray.remote(max_retries=0)
    def leave_child():
        child = subprocess.Popen(["sleep", "1000"], start_new_session=True)
        (tmp_path / "child").write_text(str(child.pid))
        print("before the end", file=sys.stderr, flush=True)
        os._exit(5)

    try:
        with pytest.raises(WorkerCrashedError, match=r"(?s)exit code 5.*before the end"):
            ray.get(leave_child.remote(), timeout=60)
        assert ray.get(one.remote(), timeout=60) == 1
        ray.shutdown()
        child = int((tmp_path / "child").read_text())
        wait_until(lambda: state_of(child) in ("", "Z"))
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.kill(int((tmp_path / "child").read_text()), signal.SIGKILL)


class Unpicklable(Exception):
    def __init__(self, text):
        super().__init__(text)
        self.handle = open(os.devnull)  # noqa: SIM115


class Unloadable(Exception):
    def __init__(self, one, two):
        super().__init__(f"{one} and {two}")


@pytest.mark.filterwarnings("ignore::ResourceWarning")
def test_an_exception_that_cannot_be_pickled(start):
    start()

    @ray.remote
    def fail():
        raise Unpicklable("the reason")

    with pytest.raises(RayTaskError, match="the reason"):
        ray.get(fail.remote(), timeout=60)


def test_an_exception_whose_constructor_takes_other_arguments(start):
    start()

    @ray.remote
    def fail():
        raise Unloadable("left", "right")

    with pytest.raises(Unloadable, match="left and right") as caught:
        ray.get(fail.remote(), timeout=60)
    assert isinstance(caught.value, RayTaskError)


def test_a_result_that_cannot_be_pickled(start):
    start()

    @ray.remote
    def lock():
        import threading

        return {"inner": threading.Lock()}

    with pytest.raises(TypeError, match="lock"):
        ray.get(lock.remote(), timeout=60)
    assert ray.get(one.remote(), timeout=60) == 1


def test_deep_recursion_of_tasks_ends(start):
    start(num_cpus=1)

    @ray.remote(max_retries=0)
    def deeper(n):
        return 0 if n == 0 else ray.get([deeper.remote(n - 1)])[0] + 1

    assert ray.get(deeper.remote(20), timeout=100) == 20


def test_a_recursion_deeper_than_the_limit_of_workers_fails(start):
    start(num_cpus=1, _system_config={"max_task_workers": 8})

    @ray.remote
    def deeper(n):
        return 0 if n == 0 else ray.get([deeper.remote(n - 1)])[0] + 1

    @ray.remote
    async def deeper_on_loops(n):
        return 0 if n == 0 else 1 + await deeper.options(num_cpus=0.5).remote(n - 1)

    with pytest.raises(ray.exceptions.RayError, match="reached its limit of 8 workers"):
        ray.get(deeper.remote(20), timeout=100)
    with pytest.raises(ray.exceptions.RayError, match="reached its limit of 8 workers"):
        ray.get(deeper_on_loops.remote(20), timeout=100)
    assert ray.get(deeper.remote(5), timeout=100) == 5
