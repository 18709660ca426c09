"""Settings as a session obeys them: given to `init`, they reach the node and the workers."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

import ray_async as ray
from ray_async._core import submission
from ray_async.config import Settings
from ray_async.engine.current import get_session
from ray_async.exceptions import TaskCancelledError, WorkerCrashedError
from ray_async.machine.event_loop import new_event_loop
from ray_async.machine.memory_limits import MemoryState
from ray_async.runtime.node.memory_monitor import MemoryMonitor
from ray_async.spec.class_description import ClassDescription
from tests.resources import wait_until

TIMEOUT_S = 60


@ray.remote
def conditions() -> tuple[int, str]:
    """The nice value and the kernel's adjustment of the process."""
    return os.nice(0), Path("/proc/self/oom_score_adj").read_text().strip()


def test_workers_are_as_nice_as_they_are_told() -> None:
    settings = {"worker_niceness": 3, "worker_oom_score_adjustment": 900}
    with ray.init(num_cpus=1, _system_config=settings):
        assert ray.get(conditions.remote(), timeout=TIMEOUT_S) == (os.nice(0) + 3, "900")


def test_settings_that_are_unknown_here_change_nothing(caplog: pytest.LogCaptureFixture) -> None:
    settings = {"health_check_failure_threshold": 3, "raylet_heartbeat_period_milliseconds": 100, "no_such_thing": None}
    with ray.init(num_cpus=1, _system_config=settings):
        assert ray.get(conditions.remote(), timeout=TIMEOUT_S)[0] == os.nice(0)
    assert [record.getMessage() for record in caplog.records if "no_such_thing" in record.getMessage()] == [
        f"_system_config: no setting here has the name {', '.join(settings)}"
    ]


def test_a_setting_that_cannot_be_read_is_told_before_anything_starts(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ValueError, match=r"memory_usage_threshold.*'abc'"):
        ray.init(num_cpus=1, _system_config={"memory_usage_threshold": "abc"})
    monkeypatch.setenv("RAY_ASYNC_MEMORY_USAGE_THRESHOLD", "abc")
    with pytest.raises(ValueError, match="RAY_ASYNC_MEMORY_USAGE_THRESHOLD='abc'"):
        ray.init(num_cpus=1)
    assert not ray.is_initialized()


def test_the_node_is_described_by_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAY_override_resources", '{"CPU": 2, "magnet": 1}')
    monkeypatch.setenv("RAY_ASYNC_OVERRIDE_LABELS", '{"shelf": "upper"}')
    settings = {"prestart_worker_first_driver": False, "object_spilling_config": '{"type": "smoke_signals"}'}
    with pytest.raises(ValueError, match="smoke_signals"):
        ray.init(num_cpus=1, _system_config=settings)
    del settings["object_spilling_config"]
    with ray.init(num_cpus=1, resources={"rope": 1}, labels={"shelf": "lower", "room": "1"}, _system_config=settings):
        resources = ray.cluster_resources()
        assert {name: resources[name] for name in ("CPU", "magnet", "rope")} == {"CPU": 2, "magnet": 1, "rope": 1}
        assert ray.nodes()[0]["Labels"].items() >= {"shelf": "upper", "room": "1"}.items()
        assert get_session().control("workers") == []


def test_large_functions_are_refused_from_the_size_that_is_set() -> None:
    weight = bytes(5000)

    @ray.remote
    def heavy() -> int:
        return len(weight)

    with (
        ray.init(num_cpus=1, _system_config={"function_size_error_threshold": 4000}),
        pytest.raises(ValueError, match="too large"),
    ):
        heavy.remote()


def test_async_tasks_in_flight_are_bounded_by_a_setting() -> None:
    @ray.remote
    async def nothing() -> None:
        await asyncio.sleep(0)

    with ray.init(num_cpus=1, _system_config={"default_async_task_concurrency": 7}):
        ray.get(nothing.remote(), timeout=TIMEOUT_S)
        session: Any = get_session()
        tasks = ClassDescription.decode(submission.read_class_spec(session.arena, 1))
        assert (tasks.is_async, tasks.tasks_per_worker) == (True, 7)


@ray.remote(max_retries=1)
def dies_first(path: str) -> int:
    """Kills its process when it runs for the first time."""
    with open(path, "a") as file:
        file.write(f"{os.getpid()}\n")
    runs = len(Path(path).read_text().splitlines())
    if runs == 1:
        os.kill(os.getpid(), signal.SIGKILL)
    return runs


def test_a_task_waits_before_it_is_run_again(tmp_path: Path) -> None:
    with ray.init(num_cpus=1, _system_config={"task_retry_delay_ms": 50}):
        assert ray.get(dies_first.remote(str(tmp_path / "runs")), timeout=TIMEOUT_S) == 2


def test_a_task_is_cancelled_while_it_waits_to_be_run_again(tmp_path: Path) -> None:
    runs = tmp_path / "runs"
    with ray.init(num_cpus=1, _system_config={"task_retry_delay_ms": 10 * TIMEOUT_S * 1000}):
        ref = dies_first.remote(str(runs))
        wait_until(lambda: runs.exists() and not Path("/proc", runs.read_text().strip()).exists())
        ray.cancel(ref)
        with pytest.raises(TaskCancelledError):
            ray.get(ref, timeout=TIMEOUT_S)
    assert len(runs.read_text().splitlines()) == 1


@ray.remote(max_retries=0)
def leaves_a_child(path: str) -> None:
    """Starts a process and dies."""
    child = subprocess.Popen(["sleep", "1000"])
    Path(path).write_text(str(child.pid))
    os.kill(os.getpid(), signal.SIGKILL)


@pytest.mark.parametrize("kills", [True, False])
def test_what_a_worker_started_ends_with_it_unless_told_otherwise(tmp_path: Path, kills: bool) -> None:
    path = tmp_path / "pid"
    with ray.init(num_cpus=1, _system_config={"kill_child_processes_on_worker_exit": kills}):
        with pytest.raises(WorkerCrashedError):
            ray.get(leaves_a_child.remote(str(path)), timeout=TIMEOUT_S)
        child = Path("/proc", path.read_text())
        if kills:
            wait_until(lambda: not child.exists())
        else:
            assert child.exists()
    wait_until(lambda: not child.exists())  # nothing outlives the session


@pytest.mark.parametrize(("min_free", "killed"), [(-1, 1), (50, 0), (150, 1)])
def test_workers_live_while_enough_memory_is_free(min_free: int, killed: int) -> None:
    kills: list[Any] = []
    worker = SimpleNamespace(pid=1 << 30, kill_cause=None, name="", lease=None, slot=0)
    settings = Settings({"memory_usage_threshold": 0.8, "min_memory_free_bytes": min_free}, {})
    processes: Any = SimpleNamespace(lease_state=lambda slot: 2)
    workers: Any = SimpleNamespace(by_slot={0: worker}, kill=lambda *given: kills.append(given))
    monitor = MemoryMonitor(processes, workers, settings)
    monitor._gauge = SimpleNamespace(read=lambda: MemoryState(total=1000, available=100))  # type: ignore[assignment]
    monitor.tick()
    assert len(kills) == killed


@pytest.mark.parametrize("wanted", [True, False])
def test_event_loops_are_uvloops_unless_told_otherwise(wanted: bool) -> None:
    uvloop = pytest.importorskip("uvloop")
    loop = new_event_loop(Settings({"use_uvloop": wanted}, {}))
    try:
        assert isinstance(loop, uvloop.Loop) is wanted
    finally:
        loop.close()
