"""`shutdown(wait_for_processes=True)`: afterwards the job's processes are gone. And a job's search path."""

import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import ray_async as ray
from ray_async.engine.current import get_session
from ray_async.job_config import JobConfig
from ray_async.runtime.start import node_control
from tests.faults.session import state_of


@ray.remote(num_cpus=0)
class Busy:
    def __init__(self) -> None:
        self.memory = bytearray(50_000_000)  # whose pages take the kernel a while to free

    def pid(self) -> int:
        return os.getpid()


@pytest.fixture
def head() -> Iterator[str]:
    entry = node_control.start_head({"address": "127.0.0.1:7421", "num_cpus": 2})
    yield entry.address
    node_control.stop_nodes(only=entry)


def test_the_nodes_processes_are_gone() -> None:
    ray.init("local", num_cpus=2)
    actors = [Busy.remote() for _ in range(3)]
    pids = ray.get([actor.pid.remote() for actor in actors])
    figures = get_session().control("statistics")
    pids += [figures["zygote_pid"], figures["node_pid"]]
    ray.shutdown(wait_for_processes=True)
    assert [state_of(pid) for pid in pids if state_of(pid) not in ("", "Z")] == []


def test_the_processes_of_an_attached_drivers_job_are_gone(head: str) -> None:
    ray.init(head)
    actors = [Busy.remote() for _ in range(3)]
    pids = ray.get([actor.pid.remote() for actor in actors])
    ray.shutdown(wait_for_processes=True)
    assert [state_of(pid) for pid in pids if state_of(pid) not in ("", "Z")] == []


def test_what_is_detached_is_not_waited_for(head: str, wait_until: Callable[..., None]) -> None:
    ray.init(head)
    kept = Busy.options(name="kept", namespace="n", lifetime="detached").remote()
    pid = ray.get(kept.pid.remote())
    ray.shutdown(wait_for_processes=True)
    assert state_of(pid) not in ("", "Z")
    ray.init(head)
    ray.kill(ray.get_actor("kept", namespace="n"))
    wait_until(lambda: state_of(pid) in ("", "Z"))
    ray.shutdown()


def test_modules_are_found_where_the_job_says(tmp_path: Path) -> None:
    (tmp_path / "only_for_workers.py").write_text("VALUE = 7\n")

    @ray.remote
    def value() -> int:
        from only_for_workers import VALUE  # type: ignore[import-not-found]

        return int(VALUE)

    assert str(tmp_path) not in sys.path
    with ray.init("local", num_cpus=1, job_config=JobConfig(code_search_path=[str(tmp_path)])):
        assert ray.get(value.remote(), timeout=60) == 7
