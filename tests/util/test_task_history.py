"""Tasks that have ended and are forgotten but for the history."""

import os
import signal
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

import ray_async as ray
from ray_async.engine.current import get_session
from ray_async.exceptions import WorkerCrashedError
from ray_async.util import state
from tests.gate import Gate


@pytest.fixture(scope="module", params=[False, True], ids=["failures", "all"])
def keeps_all(request: pytest.FixtureRequest) -> Iterator[bool]:
    with ray.init(num_cpus=2, _system_config={"task_history": request.param}):
        yield request.param


@ray.remote
def double(x: int) -> int:
    return 2 * x


@ray.remote(max_retries=0)
def wrong(text: str) -> None:
    raise LookupError(text)


@ray.remote
class Keeper:
    def one(self) -> int:
        return 1

    def wrong(self, text: str = "kept") -> None:
        raise LookupError(text)


@ray.remote
class AsyncKeeper:
    async def one(self) -> int:
        return 1

    async def wrong(self) -> None:
        raise LookupError("kept")


def rows(**fields: Any) -> list[state.StateRow]:
    return state.list_tasks(filters=[(key, "=", value) for key, value in fields.items()])


def the_row(wait_until: Callable[..., None], **fields: Any) -> state.StateRow:
    found: list[state.StateRow] = []

    def is_there() -> bool:
        found[:] = rows(**fields)
        return bool(found)

    wait_until(is_there)
    (row,) = found
    return row


def failed_row(wait_until: Callable[..., None], task_id: str) -> state.StateRow:
    """The row of a task that has raised: what its worker tells the node may come after the error itself."""
    return the_row(wait_until, task_id=task_id, error_type="TASK_EXECUTION_EXCEPTION")


def fails(ref: Any) -> str:
    """Id of a task that fails; nothing refers to it afterwards."""
    with pytest.raises(LookupError):
        ray.get(ref)
    return str(ref.task_id().hex())


def test_a_failed_task_stays(keeps_all: bool, wait_until: Callable[..., None]) -> None:
    task_id = fails(wrong.options(name="precious").remote("gone"))
    wait_until(lambda: not any(row.object_id.startswith(task_id) for row in state.list_objects()))
    row = failed_row(wait_until, task_id)
    assert (row.state, row["name"], row.func_or_class_name, row.type) == ("FAILED", "precious", "wrong", "NORMAL_TASK")
    assert row.error_message.endswith("LookupError: gone")
    worker = state.get_worker(row.worker_id)
    assert worker is not None and worker.pid == row.worker_pid and row.end_time_ms >= worker.start_time_ms
    assert state.summarize_tasks()["cluster"]["summary"]["wrong"]["state_counts"]["FAILED"] >= 1


@pytest.mark.parametrize("kind", [Keeper, AsyncKeeper])
def test_failed_calls_of_actors_stay(keeps_all: bool, kind: Any, wait_until: Callable[..., None]) -> None:
    keeper = kind.remote()
    row = failed_row(wait_until, fails(keeper.wrong.remote()))
    assert (row.state, row.func_or_class_name, row.type) == ("FAILED", f"{kind.__name__}.wrong", "ACTOR_TASK")


def test_a_task_whose_worker_died_stays(keeps_all: bool, wait_until: Callable[..., None]) -> None:
    @ray.remote(max_retries=0)
    def endless() -> None:
        threading.Event().wait()

    ref = endless.remote()
    task_id = ref.task_id().hex()
    wait_until(lambda: rows(task_id=task_id, state="RUNNING"))
    pid = rows(task_id=task_id)[0].worker_pid
    os.kill(pid, signal.SIGKILL)
    with pytest.raises(WorkerCrashedError):
        ray.get(ref)
    del ref
    row = the_row(wait_until, task_id=task_id, state="FAILED")
    assert row.worker_pid == pid and "SIGKILL" in row.error_message


def test_calls_fail_while_the_node_stands_still(keeps_all: bool, wait_until: Callable[..., None]) -> None:
    keeper = Keeper.remote()
    ids = {fails(keeper.wrong.remote("early"))}
    missing_before = get_session().control("statistics")["failures_not_reported"]
    node = get_session().control("statistics")["node_pid"]
    os.kill(node, signal.SIGSTOP)
    try:
        ids |= {fails(keeper.wrong.remote("x" * 3_000)) for _ in range(600)}
    finally:
        os.kill(node, signal.SIGCONT)

    def all_are_told_or_counted() -> bool:
        ids.add(fails(keeper.wrong.remote("late")))
        listed = ids & {row.task_id for row in state.list_tasks(filters=[("state", "=", "FAILED")], limit=10_000)}
        missing = get_session().control("statistics")["failures_not_reported"] - missing_before
        return bool(missing > 0 and len(listed) + missing == len(ids))

    wait_until(all_are_told_or_counted)


def test_a_failure_without_a_listing_leaves_nothing(keeps_all: bool, wait_until: Callable[..., None]) -> None:
    hidden = fails(wrong.options(enable_task_events=False).remote("hidden"))
    failed_row(wait_until, fails(wrong.remote("shown")))
    failed_row(wait_until, fails(wrong.remote("shown")))
    assert rows(task_id=hidden) == []


@pytest.mark.parametrize("call", ["task", "sync", "async"])
def test_what_succeeds_stays_where_that_is_wanted(keeps_all: bool, call: str, wait_until: Callable[..., None]) -> None:
    actor: Any = {"sync": Keeper, "async": AsyncKeeper}[call].remote() if call != "task" else None
    ref = double.remote(1) if actor is None else actor.one.remote()
    ray.get(ref)
    task_id = ref.task_id().hex()
    wait_until(lambda: rows(task_id=task_id, state="FINISHED"))
    listed = rows(task_id=task_id)[0]
    del ref
    if not keeps_all:
        wait_until(lambda: not rows(task_id=task_id))
        return
    wait_until(lambda: not any(row.object_id.startswith(task_id) for row in state.list_objects()))
    (row,) = rows(task_id=task_id)
    same = ("name", "func_or_class_name", "state", "type", "job_id", "actor_id", "worker_pid", "end_time_ms")
    assert [row[key] for key in same] == [listed[key] for key in same]
    assert 0 < row.start_time_ms <= row.end_time_ms and row.worker_pid > 0


def test_pages_filters_and_totals(keeps_all: bool) -> None:
    refs = [double.options(name="paged").remote(i) for i in range(25)]
    ray.get(refs)
    wanted = [("name", "=", "PAGED")]
    pages = [state.list_tasks(filters=wanted, limit=10, offset=offset) for offset in (0, 10, 20, 30)]
    assert [len(page) for page in pages] == [10, 10, 5, 0]
    assert {row.task_id for page in pages for row in page} == {ref.task_id().hex() for ref in refs}
    assert len(state.list_tasks(filters=[*wanted, ("worker_pid", "=", -1)])) == 0
    with pytest.raises(state.RayStateApiException, match="offset"):
        state.list_tasks(offset=-1)


def test_a_child_names_its_parent(keeps_all: bool, wait_until: Callable[..., None]) -> None:
    gate = Gate.remote()

    @ray.remote(num_cpus=0)
    def child(gate: Any) -> None:
        ray.get(gate.wait.remote())

    @ray.remote(num_cpus=0)
    def parent(gate: Any) -> None:
        ray.get(child.remote(gate))

    ref = parent.remote(gate)
    row = the_row(wait_until, name="child", state="RUNNING")
    assert row.parent_task_id == ref.task_id().hex()
    ray.get(gate.open.remote())
    ray.get(ref)
