"""Classes, exports, groups, environments: what ends gives back what it had, however many there are."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from typing import Any

import pytest

import ray_async as ray
from ray_async.engine.current import get_session
from ray_async.util.scheduling_strategies import PlacementGroupSchedulingStrategy
from tests.behaviour.test_settings import TIMEOUT_S
from tests.gate import Gate
from tests.resources import wait_until

MEBIBYTE = 1 << 20


@pytest.fixture
def session() -> Iterator[Any]:
    """A session with a small store."""
    with ray.init(num_cpus=2, object_store_memory=100 * MEBIBYTE):
        yield get_session()


def figures() -> dict[str, Any]:
    """Bytes in use and classes."""
    found: dict[str, Any] = get_session().control("statistics")
    return found


def flat(step: Callable[[int], object], count: int, classes: int, chunks: int = 24) -> None:
    """Do something often: it leaves no classes behind, and takes no more of the store than its first times."""
    for i in range(count // 10):
        step(i)
    used = figures()["used"]
    for i in range(count // 10, count):
        step(i)
    wait_until(lambda: figures()["classes"] <= classes, TIMEOUT_S)
    assert figures()["used"] <= used + chunks * 65_536


@ray.remote
def plus_one(x: int) -> int:
    return x + 1


@ray.remote(num_cpus=0)
class Caller:
    def call(self, x: int) -> int:
        return int(ray.get(plus_one.remote(x)))


def test_processes_that_submit_share_a_class(session: Any) -> None:
    def step(i: int) -> None:
        caller = Caller.remote()
        assert ray.get(caller.call.remote(i), timeout=TIMEOUT_S) == i + 1
        if i % 3:
            ray.kill(caller)

    flat(step, 30, classes=3)


def test_killed_workers_that_have_submitted(session: Any) -> None:
    @ray.remote(max_retries=0)
    def dies(x: int) -> None:
        ray.get(plus_one.remote(x))
        plus_one.remote(x)
        os.kill(os.getpid(), signal.SIGKILL)

    def step(i: int) -> None:
        with pytest.raises(ray.exceptions.WorkerCrashedError):
            ray.get(dies.remote(i), timeout=TIMEOUT_S)

    flat(step, 20, classes=3)


def test_option_sets_one_after_the_other(session: Any) -> None:
    def step(i: int) -> None:
        assert ray.get(plus_one.options(memory=1000 + i).remote(i), timeout=TIMEOUT_S) == i + 1

    flat(step, 500, classes=10)  # the driver keeps the last eight
    for i in range(3):  # a place that was used before
        step(i)


def test_option_sets_whose_results_are_kept(session: Any) -> None:
    refs = [plus_one.options(memory=1000 + i).remote(i) for i in range(300)]
    assert ray.get(refs, timeout=TIMEOUT_S) == [i + 1 for i in range(300)]
    wait_until(lambda: figures()["classes"] <= 10, TIMEOUT_S)


def test_tasks_that_wait_keep_their_class(session: Any) -> None:
    """Nobody has the function any more when the task's turn comes."""
    gate = Gate.remote()
    held = [hold.remote(gate) for _ in range(2)]
    assert ray.get(plus_one.options(memory=1, num_cpus=0).remote(1), timeout=TIMEOUT_S) == 2
    waiting = [plus_one.options(memory=1000 + i).remote(i) for i in range(50)]
    # Once the node has ended the class of what ran, it has looked at the others too: those, and that of the held tasks.
    wait_until(lambda: figures()["classes"] == 51, TIMEOUT_S)
    ray.get(gate.open.remote(), timeout=TIMEOUT_S)
    assert ray.get(waiting, timeout=TIMEOUT_S) == [i + 1 for i in range(50)]
    ray.get(held, timeout=TIMEOUT_S)
    wait_until(lambda: figures()["classes"] <= 12, TIMEOUT_S)


@ray.remote
def hold(gate: Any) -> None:
    """Keep a CPU until the gate opens; a task that waits for a result would lend it."""
    import time

    passed = gate.wait.remote()
    while not ray.wait([passed], timeout=0)[0]:
        time.sleep(0.01)


def test_placement_groups_one_after_the_other(session: Any) -> None:
    def step(i: int) -> None:
        group = ray.util.placement_group([{"CPU": 1}])
        ray.get(group.ready(), timeout=TIMEOUT_S)
        strategy = PlacementGroupSchedulingStrategy(group)
        assert ray.get(plus_one.options(scheduling_strategy=strategy).remote(i), timeout=TIMEOUT_S) == i + 1
        ray.util.remove_placement_group(group)

    flat(step, 40, classes=12)


def test_functions_one_after_the_other(session: Any) -> None:
    """Neither the store nor the worker keeps what nobody can call any more."""

    def step(i: int) -> None:
        text = "x" * 2000

        @ray.remote(num_cpus=2)
        def made() -> tuple[int, int]:
            return i, len(text)

        assert ray.get(made.remote(), timeout=TIMEOUT_S) == (i, 2000)

    flat(step, 600, classes=3)
    count = ray.get(definitions.remote(), timeout=TIMEOUT_S)
    assert count <= 200, "a worker looks which ones are gone at 64, and whenever they have doubled"


@ray.remote(num_cpus=2)
def definitions() -> int:
    """How many definitions the worker remembers."""
    import gc

    from ray_async.runtime.worker.definitions import Definition

    return sum(type(found) is Definition for found in gc.get_objects())


def test_environments_end_with_their_tasks(session: Any) -> None:
    @ray.remote
    def variable() -> str | None:
        return os.environ.get("OWN")

    for i in range(4):
        env = {"env_vars": {"OWN": str(i)}}
        assert ray.get(variable.options(runtime_env=env).remote(), timeout=TIMEOUT_S) == str(i)
    for i in range(8):  # push the last ones out of what the driver keeps
        ray.get(plus_one.options(memory=1000 + i).remote(i), timeout=TIMEOUT_S)
    wait_until(lambda: figures()["environments"] == 0, TIMEOUT_S)


def test_a_cancelled_task_leaves_its_place_to_another_that_waits(session: Any) -> None:
    """The node forgets the first one's argument, and waits for the second one's."""
    gate = Gate.remote()
    never = gate.wait.remote()
    for _ in range(50):
        cancel_all([takes.remote(never, i) for i in range(20)])
    values = [plus_one.remote(i) for i in range(20)]
    assert ray.get([takes.remote(value, i) for i, value in enumerate(values)], timeout=TIMEOUT_S) == list(range(20))
    last = [takes.remote(never, i) for i in range(20)]
    ray.get(gate.open.remote(), timeout=TIMEOUT_S)
    assert ray.get(last, timeout=TIMEOUT_S) == list(range(20))


def cancel_all(refs: list[Any]) -> None:
    """Cancel tasks that wait for their argument."""
    for ref in refs:
        ray.cancel(ref)
    for ref in refs:
        with pytest.raises(ray.exceptions.TaskCancelledError):
            ray.get(ref, timeout=TIMEOUT_S)


@ray.remote
def takes(argument: Any, x: int) -> int:
    return x
