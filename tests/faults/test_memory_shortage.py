"""Memory runs short: the monitor ends the largest worker, and says so."""

import os
import threading

import pytest

import ray_async as ray
from ray_async.exceptions import OutOfMemoryError
from tests.faults.session import worker_pids

ALWAYS_SHORT = {"memory_usage_threshold": 0.0001}


@ray.remote
def stuck(path):
    """Stuck on the first attempt."""
    try:
        with open(path, "x") as file:
            file.write(f"{os.getpid()}\n")
    except FileExistsError:
        return "again"
    threading.Event().wait()


@ray.remote
class Stuck:
    def wait(self):
        threading.Event().wait()


def test_who_is_ended_for_want_of_memory_is_told(start, tmp_path):
    start(_system_config=ALWAYS_SHORT)
    with pytest.raises(OutOfMemoryError, match=r"memory was short: \d+ of \d+ bytes .*memory_usage_threshold=0.0001"):
        ray.get(stuck.options(max_retries=0).remote(tmp_path / "once"), timeout=60)
    with pytest.raises(OutOfMemoryError, match=r"the actor Stuck (?s:.*)memory was short"):
        ray.get(Stuck.remote().wait.remote(), timeout=60)


def test_a_task_ended_for_want_of_memory_runs_again(start, tmp_path):
    start(_system_config={**ALWAYS_SHORT, "task_oom_retry_delay_base_ms": 1})
    assert ray.get(stuck.options(max_retries=1).remote(tmp_path / "twice"), timeout=60) == "again"


def test_nobody_is_ended_while_memory_suffices(start, tmp_path, wait_until):
    start(num_cpus=1, _system_config={**ALWAYS_SHORT, "min_memory_free_bytes": 1})
    ref = stuck.remote(tmp_path / "left")
    left = tmp_path / "left"
    wait_until(lambda: left.exists() and left.read_text().endswith("\n"))
    with pytest.raises(ray.exceptions.GetTimeoutError):
        ray.get(ref, timeout=3)  # longer than a look at the memory takes to come
    assert int(left.read_text()) in worker_pids()
