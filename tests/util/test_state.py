"""The state API over a running session."""

import os
import signal
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

import ray_async as ray
from ray_async.util import state
from ray_async.util.placement_group import placement_group


@pytest.fixture(scope="module", autouse=True)
def session() -> Iterator[None]:
    with ray.init(num_cpus=2, num_gpus=1):
        yield


@ray.remote
class Keeper:
    def ping(self) -> int:
        return 1


def test_actors_live_and_die_in_the_listing(wait_until: Callable[..., None]) -> None:
    keeper = Keeper.options(name="keeper", resources={}).remote()
    ray.get(keeper.ping.remote())
    row = state.get_actor(id=keeper._actor_id.hex())
    assert row is not None
    assert (row.state, row["name"], row.get("class_name"), row.num_restarts) == ("ALIVE", "keeper", "Keeper", 0)
    assert row.node_id == ray.get_runtime_context().get_node_id()
    with pytest.raises(AttributeError, match="no field 'colour'"):
        _ = row.colour
    ray.kill(keeper)
    wait_until(lambda: state.list_actors(filters=[("name", "=", "KEEPER"), ("state", "=", "dead")]))
    assert not state.list_actors(filters=[("name", "=", "keeper"), ("state", "!=", "DEAD")])
    assert state.get_actor(id="00") is None


def test_the_dead_are_remembered(wait_until: Callable[..., None]) -> None:
    @ray.remote
    class Brief:
        def pid(self) -> int:
            return os.getpid()

    killed, forgotten = Brief.remote(), Brief.remote()
    actor_id = forgotten._actor_id.hex()
    pids = ray.get([killed.pid.remote(), forgotten.pid.remote()])
    for pid in pids:
        (row,) = state.list_workers(filters=[("pid", "=", pid)])
        assert (row.is_alive, row.exit_type, row.end_time_ms) == (True, None, 0)
        assert row.start_time_ms > 0
    os.kill(pids[0], signal.SIGKILL)
    del forgotten
    wait_until(lambda: not any(row.is_alive for row in state.list_workers() if row.pid in pids))
    wait_until(lambda: state.list_actors(filters=[("actor_id", "=", actor_id), ("state", "=", "DEAD")]))
    by_pid = {row.pid: row for row in state.list_workers()}
    assert by_pid[pids[0]].exit_type == "SYSTEM_ERROR"
    assert "SIGKILL" in by_pid[pids[0]].exit_detail
    assert all(by_pid[pid].end_time_ms >= by_pid[pid].start_time_ms for pid in pids)


def task_row(ref: Any) -> state.StateRow:
    row = state.get_task(ref)
    assert row is not None
    return row


def test_failed_tasks_say_so_and_in_which_worker_they_died(wait_until: Callable[..., None]) -> None:
    @ray.remote(max_retries=0)
    def wrong() -> None:
        raise LookupError("not found")

    @ray.remote(max_retries=0)
    def endless() -> None:
        threading.Event().wait()

    failed, killed = wrong.remote(), endless.remote()
    with pytest.raises(LookupError):
        ray.get(failed)
    wait_until(lambda: task_row(failed).state == "FAILED")
    assert "LookupError: not found" in task_row(failed).error_message
    wait_until(lambda: task_row(killed).state == "RUNNING")
    row = task_row(killed)
    assert row.error_message is None
    os.kill(row.worker_pid, signal.SIGTERM)
    with pytest.raises(ray.exceptions.WorkerCrashedError, match="SIGTERM"):
        ray.get(killed)
    wait_until(lambda: task_row(killed).state == "FAILED")
    again = task_row(killed)
    assert (again.worker_id, again.worker_pid) == (row.worker_id, row.worker_pid)
    worker = state.get_worker(again.worker_id)
    assert worker is not None
    assert (worker.exit_type, worker.is_alive) == ("SYSTEM_ERROR", False)
    assert "SIGTERM" in worker.exit_detail


def test_tasks_objects_workers_nodes(wait_until: Callable[..., None]) -> None:
    @ray.remote
    def double(x: int) -> int:
        return 2 * x

    ref = double.remote(4)
    assert ray.get(ref) == 8
    # The value is there a moment before the task has ended.
    wait_until(lambda: state.list_tasks(filters=[("name", "=", "double"), ("state", "=", "FINISHED")]))
    task = state.get_task(ref)
    assert task is not None
    assert (task.func_or_class_name, task.state, task.type) == ("double", "FINISHED", "NORMAL_TASK")
    assert len(state.get_objects(ref.hex())) == 1
    assert state.list_workers()[0].is_alive
    assert [(row.is_head_node, row.end_time_ms) for row in state.list_nodes()] == [(True, 0)]
    assert state.list_nodes()[0].start_time_ms > 0
    assert state.summarize_tasks()["cluster"]["summary"]["double"]["state_counts"]["FINISHED"] >= 1


def test_bad_questions() -> None:
    with pytest.raises(state.RayStateApiException, match="limit"):
        state.list_actors(limit=0)
    with pytest.raises(state.RayStateApiException, match="predicate"):
        state.list_actors(filters=[("state", "<", "A")])


def test_an_actor_is_placed_on_a_worker_whose_lease_was_taken_back() -> None:
    @ray.remote
    def one() -> int:
        return 1

    for _ in range(10):
        assert ray.get([one.remote(), one.options(num_cpus=2).remote()], timeout=60) == [1, 1]
        keeper = Keeper.options(num_cpus=2).remote()
        assert ray.get(keeper.ping.remote(), timeout=60) == 1
        ray.kill(keeper)


def test_a_worker_that_ran_without_devices_gets_none() -> None:
    @ray.remote
    def pid() -> int:
        import os

        return os.getpid()

    assert ray.get(pid.remote()) != ray.get(pid.options(num_gpus=1).remote())


def test_the_function_is_not_hidden_by_its_module() -> None:
    import sys

    import ray_async.util

    ray_async.util.placement_group = sys.modules["ray_async.util.placement_group"]  # type: ignore[assignment]
    assert ray_async.util.placement_group is placement_group


def test_a_keyboard_interrupt_of_a_task_counts_as_a_cancel() -> None:
    @ray.remote
    def interrupt() -> None:
        raise KeyboardInterrupt

    with pytest.raises(ray.exceptions.TaskCancelledError):
        ray.get(interrupt.remote())


def test_what_is_too_large_is_named_with_its_kind() -> None:
    import hashlib

    large = hashlib.blake2b(b"seed").digest() * (102_000_000 // 64)

    @ray.remote
    def f() -> int:
        return len(large)

    @ray.remote
    class Large:
        def f(self) -> int:
            return len(large)

    with pytest.raises(ValueError, match=r"The remote function .*f is too large"):
        f.remote()
    with pytest.raises(ValueError, match="The actor Large is too large"):
        Large.remote()


def test_items_of_a_generator_become_returns_as_they_come() -> None:
    @ray.remote(max_retries=0)
    def items(count: int, error: bool) -> Iterator[int]:
        yield from range(count)
        if error:
            raise KeyError("late")

    assert ray.get(items.options(num_returns=3).remote(3, False)) == [0, 1, 2]
    assert ray.get(items.options(num_returns=3).remote(5, False)) == [0, 1, 2]
    assert ray.get(items.options(num_returns=1).remote(1, False)) == 0
    first, second, third = items.options(num_returns=3).remote(2, True)
    assert ray.get([first, second]) == [0, 1]
    with pytest.raises(KeyError):
        ray.get(third)
    *some, missing = items.options(num_returns=3).remote(2, False)
    assert ray.get(some) == [0, 1]
    with pytest.raises(ValueError, match="yielded 2 values"):
        ray.get(missing)


def test_the_package_is_found_without_an_import() -> None:
    import subprocess
    import sys

    code = "import ray_async as ray; print(ray.util.state.list_actors.__name__)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "list_actors\n"
