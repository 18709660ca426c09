"""Workers that end before they are ready: what waits for them is told why."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import ray_async as ray
from ray_async.runtime.node.death.evidence import DeathCause
from ray_async.runtime.node.death.failed_starts import FailedStarts
from ray_async.runtime.node.workers import WorkerProcess

TIMEOUT_S = 60
EXIT_1 = 1 << 8


@pytest.fixture(scope="module", autouse=True)
def session() -> Iterator[None]:
    ray.init(num_cpus=2, log_to_driver=False)
    yield
    ray.shutdown()


@ray.remote
def task() -> int:
    return os.getpid()


@ray.remote
class Actor:
    def method(self) -> int:
        return os.getpid()


#: An interpreter that does not find its own library.
BROKEN = {"env_vars": {"PYTHONHOME": "/nonexistent"}}


def test_waiting_tasks_and_actors_fail_with_the_last_lines_of_stderr() -> None:
    refs = [task.options(runtime_env=BROKEN).remote(), Actor.options(runtime_env=BROKEN).remote().method.remote()]
    for ref in refs:
        with pytest.raises(ray.exceptions.RuntimeEnvSetupError) as caught:
            ray.get(ref, timeout=TIMEOUT_S)
        assert "3 in a row ended before they were ready" in str(caught.value)
        assert "No module named 'encodings'" in str(caught.value)
    assert ray.get(task.remote(), timeout=TIMEOUT_S)


PLAIN = """
import os, sys
import ray_async as ray

@ray.remote
def task():
    return 1

@ray.remote
class Actor:
    def method(self):
        return 1

with ray.init("local", num_cpus=1, _system_config={"preload_python_modules": ["breaks_workers"]}):
    for ref in (task.remote(), Actor.remote().method.remote()):
        try:
            print(ray.get(ref, timeout=60))
        except ray.exceptions.RayError as error:
            print(type(error).__name__, "cannot be a worker" in str(error), "exit code 3" in str(error))
"""
BREAKS_WORKERS = """
import os, sys
import ray_async.runtime.worker.worker as process

def run_worker(*_):
    print("cannot be a worker", file=sys.stderr, flush=True)
    os._exit(3)

process.run_worker = run_worker
"""


def test_plain_workers_that_cannot_start(tmp_path: Path) -> None:
    (tmp_path / "breaks_workers.py").write_text(BREAKS_WORKERS)
    run = subprocess.run([sys.executable, "-c", PLAIN], cwd=tmp_path, capture_output=True, text=True, timeout=100)
    assert run.stdout.splitlines() == ["WorkerCrashedError True True", "ActorDiedError True True"], run.stderr


def worker(env_key: str, started: float) -> WorkerProcess:
    made = WorkerProcess(1, "node", env_key, 1)
    made.started = started
    return made


def test_starts_are_counted_one_after_the_other() -> None:
    starts = FailedStarts()
    # Three that were started together are one start that failed.
    assert [starts.failed(worker("1:", 0), 1, EXIT_1, []) for _ in range(3)] == [None] * 3
    assert starts.failed(worker("1:", 2), 3, EXIT_1, []) is None
    assert starts.failed(worker("1:other", 4), 5, EXIT_1, []) is None
    reason = starts.failed(worker("1:", 4), 5, signal.SIGSEGV, ["first", "last"])
    assert reason == (
        "its worker cannot start: 3 in a row ended before they were ready, the last one killed by signal 11 (SIGSEGV). "
        "Its last lines on stderr:\nfirst\nlast"
    )
    assert starts.failed(worker("1:", 6), 7, EXIT_1, []) is None  # counted anew


def test_a_start_that_succeeds_ends_the_row() -> None:
    starts = FailedStarts()
    for now in (1.0, 2.0):
        assert starts.failed(worker("1:", now), now, EXIT_1, []) is None
    starts.succeeded("1:")
    for now in (3.0, 4.0):
        assert starts.failed(worker("1:", now), now, EXIT_1, []) is None
    killed = worker("1:", 5)
    killed.kill_cause = DeathCause.NOT_REGISTERED
    told = str(starts.failed(killed, 5, 9, []))
    assert "the last one because it did not report in time. It wrote nothing" in told


UNFORKABLE = """
import errno, os

fork, failures = os.fork, iter(range(int(os.environ["FAILURES"])))

def fail_first():
    if next(failures, None) is None:
        return fork()
    raise BlockingIOError(errno.EAGAIN, os.strerror(errno.EAGAIN))

os.fork = fail_first
"""
FORKS = """
import ray_async as ray

@ray.remote
def task():
    return 5

@ray.remote(num_cpus=0)
class Actor:
    def method(self):
        return 6

with ray.init(num_cpus=1, preload=["unforkable"], log_to_driver=False):
    for ref in [task.remote(), Actor.remote().method.remote()]:
        try:
            print(ray.get(ref, timeout=60))
        except Exception as error:
            print(type(error).__name__, str(error).replace("\\n", " "))
"""


@pytest.mark.parametrize("failures", [2, 1000])
def test_forks_that_fail(failures: int, tmp_path: Path) -> None:
    (tmp_path / "unforkable.py").write_text(UNFORKABLE)
    (tmp_path / "program.py").write_text(FORKS)
    environ = {**os.environ, "FAILURES": str(failures)}
    done = subprocess.run(
        [sys.executable, "program.py"], cwd=tmp_path, env=environ, capture_output=True, text=True, timeout=100
    )
    if failures == 2:
        assert done.stdout == "5\n6\n", done.stderr
        return
    task, actor = done.stdout.splitlines()
    assert task.startswith("WorkerCrashedError")
    assert actor.startswith("ActorDiedError")
    for line in (task, actor):
        assert "3 tries in a row failed" in line
        assert "Resource temporarily unavailable" in line
