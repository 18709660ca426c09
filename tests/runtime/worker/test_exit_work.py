"""The ends of workers: the order of an interpreter's, a time limit, and what libraries have left."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import ray_async as ray
from tests.resources import wait_until

TIMEOUT_S = 60


@pytest.fixture(scope="module", autouse=True)
def session() -> Iterator[None]:
    ray.init(num_cpus=2, log_to_driver=False)
    yield
    ray.shutdown()


def holds_executor() -> Any:
    from concurrent.futures import ProcessPoolExecutor

    executor = ProcessPoolExecutor(1)
    assert executor.submit(os.getpid).result() != os.getpid()
    return executor


def holds_process() -> Any:
    import multiprocessing
    import time

    process = multiprocessing.get_context("spawn").Process(target=time.sleep, args=(900,))
    process.start()
    return process


def holds_queue() -> Any:
    import multiprocessing

    queue: Any = multiprocessing.Queue()
    queue.put(b"more than the pipe holds, and nobody reads it" * 10000)
    return queue


@ray.remote(num_cpus=1)
class Holder:
    def __init__(self, path: Path) -> None:
        import atexit

        self.path = path
        self.held: Any = None
        atexit.register(path.touch)

    def hold(self, make: Callable[[], Any]) -> int:
        self.held = make()
        return os.getpid()

    def leave(self) -> None:
        ray.actor.exit_actor()


@pytest.mark.parametrize("how", ["dropped", "leaves", "terminated"])
@pytest.mark.parametrize("make", [holds_executor, holds_process, holds_queue])
def test_an_actor_ends_with_what_it_holds(make: Callable[[], Any], how: str, tmp_path: Path) -> None:
    path = tmp_path / "atexit"
    actor = Holder.remote(path)
    pid = ray.get(actor.hold.remote(make), timeout=TIMEOUT_S)
    if how == "leaves":
        with pytest.raises(ray.exceptions.ActorDiedError, match="exit_actor"):
            ray.get(actor.leave.remote(), timeout=TIMEOUT_S)
    elif how == "terminated":
        os.kill(pid, 15)
    del actor
    # Far less than the time limit of user code, which is 30 s.
    wait_until(lambda: not os.path.exists(f"/proc/{pid}"), 20)
    assert path.exists()
    wait_until(lambda: ray.available_resources().get("CPU") == 2)


LIMITED = """
import atexit, os, threading
import ray_async as ray

@ray.remote
class Stays:
    def pid(self):
        return os.getpid()
    def leave(self):
        ray.actor.exit_actor()
    def __ray_shutdown__(self):
        threading.Event().wait()

with ray.init("local", num_cpus=1, _system_config={"actor_graceful_shutdown_timeout_ms": 200}):
    actor = Stays.remote()
    pid = ray.get(actor.pid.remote())
    try:
        ray.get(actor.leave.remote(), timeout=60)
    except ray.exceptions.ActorDiedError as error:
        print("exit_actor" in str(error))
"""


def test_exit_work_has_a_time_limit() -> None:
    run = subprocess.run([sys.executable, "-c", LIMITED], capture_output=True, text=True, timeout=100)
    assert run.stdout == "True\n", run.stderr
    assert "took more than actor_graceful_shutdown_timeout_ms=200" in run.stderr


@ray.remote(max_retries=0)
def registers_hook(path: Path) -> int:
    import atexit

    atexit.register(path.touch)
    return os.getpid()


def test_sigterm_runs_exit_hooks(tmp_path: Path) -> None:
    path = tmp_path / "atexit"
    pid = ray.get(registers_hook.remote(path), timeout=TIMEOUT_S)
    os.kill(pid, 15)
    wait_until(lambda: not os.path.exists(f"/proc/{pid}"))
    assert path.exists()


@ray.remote(max_retries=0)
def terminates_itself(path: Path) -> None:
    import atexit
    import signal

    atexit.register(path.touch)
    os.kill(os.getpid(), 15)
    signal.pause()


def test_a_task_that_sigterm_ends(tmp_path: Path) -> None:
    with pytest.raises(ray.exceptions.WorkerCrashedError, match="SIGTERM"):
        ray.get(terminates_itself.remote(tmp_path / "atexit"), timeout=TIMEOUT_S)
    assert (tmp_path / "atexit").exists()


SHARED_MEMORY = """
import os, signal, sys, time
import ray_async as ray
from ray_async.engine.current import get_session

@ray.remote
def shares():
    from multiprocessing.shared_memory import SharedMemory
    return SharedMemory(create=True, size=1000).name

@ray.remote
class Shares:
    def make(self):
        from multiprocessing.shared_memory import SharedMemory
        self.made = SharedMemory(create=True, size=1000)
        return self.made.name

def there(name):
    return os.path.exists("/dev/shm/" + name)

ray.init("local", num_cpus=2)
actor = Shares.remote()
names = ray.get([actor.make.remote(), shares.remote()], timeout=60)
assert all(map(there, names))
if sys.argv[1] == "actor":
    ray.kill(actor)
    while there(names[0]):
        time.sleep(0.01)
elif sys.argv[1] == "node":
    os.kill(get_session()._launch.pid, signal.SIGKILL)
ray.shutdown()
print(*map(there, names))
"""


@pytest.mark.parametrize("ended", ["session", "actor", "node"])
def test_resource_trackers_remove_what_is_left_in_shared_memory(ended: str) -> None:
    run = subprocess.run([sys.executable, "-c", SHARED_MEMORY, ended], capture_output=True, text=True, timeout=100)
    assert run.stdout == "False False\n", run.stderr


LOKY = """
import os
import ray_async as ray

@ray.remote
def computes():
    from joblib import Parallel, delayed
    return Parallel(n_jobs=2, backend="loky")(delayed(abs)(-i) for i in range(4))

before = set(os.listdir("/dev/shm"))
with ray.init("local", num_cpus=2):
    print(ray.get(computes.remote(), timeout=60))
print([name for name in os.listdir("/dev/shm") if name not in before and "loky" in name])
"""


def test_loky_leaves_nothing_in_shared_memory() -> None:
    run = subprocess.run([sys.executable, "-c", LOKY], capture_output=True, text=True, timeout=100)
    assert run.stdout.splitlines() == ["[0, 1, 2, 3]", "[]"], run.stderr
