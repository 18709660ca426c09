"""Datasets inside of tasks, functions and actors that hold all CPUs: each ends, or says what it waits for."""

import contextlib
import logging
import os
import threading
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

import ray_async as ray
from ray_async.data.executor import remote

pytestmark = pytest.mark.usefixtures("session")


def count_inside(batch: dict[str, Any]) -> dict[str, Any]:
    inner = ray.data.range(100, override_num_blocks=10).map(lambda row: {"id": row["id"] + 1})
    return {"n": np.array([inner.count()] * len(batch["id"])), "sum": np.array([inner.sum("id")] * len(batch["id"]))}


class Counts:
    """A class of a stage that runs datasets itself."""

    def __call__(self, batch: dict[str, Any]) -> dict[str, Any]:
        return {**count_inside(batch), "cpus": np.array([os.environ["OMP_NUM_THREADS"]] * len(batch["id"]))}


class Adds:
    def __init__(self, amount: int) -> None:
        self.amount = amount

    def __call__(self, batch: dict[str, Any]) -> dict[str, Any]:
        return {"id": batch["id"] + self.amount}


@ray.remote(num_cpus=1)
class Holder:
    """An actor that keeps a CPU, whatever it does."""

    def ready(self) -> None:
        pass

    def shuffled(self) -> tuple[list[int], int]:
        dataset = ray.data.range(50, override_num_blocks=5).map(lambda row: {"id": row["id"], "pid": os.getpid()})
        rows = dataset.random_shuffle(seed=1).take_all()
        assert [row["id"] for row in rows] != list(range(50))
        return sorted(row["id"] for row in rows), len({row["pid"] for row in rows})

    def through_a_pool(self) -> list[int]:
        dataset = ray.data.range(20, override_num_blocks=4).map_batches(Adds, fn_constructor_args=(5,), concurrency=1)
        return [row["id"] for row in dataset.filter(lambda row: row["id"] % 2).iter_rows()]

    def wrong(self) -> Any:
        return ray.data.range(3, override_num_blocks=3).map(lambda row: {"x": 1 // (row["id"] - 1)}).take_all()


@ray.remote(num_cpus=1)
class AsyncHolder:
    async def ids(self) -> list[int]:
        return [row["id"] async for row in ray.data.range(10, override_num_blocks=5).map(lambda row: row)]


@contextlib.contextmanager
def holders(kind: Any = Holder) -> Iterator[list[Any]]:
    """Actors that hold both CPUs."""
    made = [kind.remote() for _ in range(2)]
    try:
        ray.get([actor.__ray_ready__.remote() for actor in made], timeout=60)
        assert ray.available_resources().get("CPU", 0) == 0
        yield made
    finally:
        for actor in made:
            ray.kill(actor)


def test_a_pool_that_asks_for_all_cpus_leaves_them_to_its_reads_and_to_datasets_inside() -> None:
    outer = ray.data.range(4, override_num_blocks=4).map(lambda row: row)
    found = outer.map_batches(Counts, concurrency=2, num_cpus=1).take_all()
    assert [(row["n"], row["sum"]) for row in found] == [(100, 5050)] * 4
    whole = outer.map_batches(Counts, concurrency=4, num_cpus=2).take_all()
    assert [row["cpus"] for row in whole] == [os.environ.get("OMP_NUM_THREADS", "2")] * 4


def test_functions_of_datasets_run_datasets() -> None:
    found = ray.data.range(4, override_num_blocks=4).map_batches(count_inside).take_all()
    assert [(row["n"], row["sum"]) for row in found] == [(100, 5050)] * 4


def test_actors_that_hold_all_cpus_run_datasets_on_their_own() -> None:
    with holders() as actors:
        assert ray.get([actor.shuffled.remote() for actor in actors], timeout=60) == [(list(range(50)), 1)] * 2
        assert ray.get([actor.through_a_pool.remote() for actor in actors], timeout=60) == [list(range(5, 25, 2))] * 2
        with pytest.raises(ZeroDivisionError) as caught:
            ray.get(actors[0].wrong.remote(), timeout=60)
    assert "Map(" in str(caught.value) and "1 // (row" in str(caught.value)


def test_async_actors_that_hold_all_cpus_run_datasets_on_their_own() -> None:
    with holders(AsyncHolder) as actors:
        assert ray.get([actor.ids.remote() for actor in actors], timeout=60) == [list(range(10))] * 2


def test_a_cpu_that_is_taken_after_a_dataset_has_begun_is_not_waited_for() -> None:
    @ray.remote(num_cpus=1)
    class Takes:
        def run(self) -> list[int]:
            rows = ray.data.range(2000, override_num_blocks=2000).map(lambda row: row).iter_rows()
            found = [next(rows)["id"]]
            other = Holder.remote()
            ray.get(other.ready.remote())
            return found + [row["id"] for row in rows]

    takes = Takes.remote()
    try:
        assert ray.get(takes.run.remote(), timeout=100) == list(range(2000))
    finally:
        ray.kill(takes)


def test_what_cannot_start_says_what_it_waits_for(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, wait_until: Any
) -> None:
    monkeypatch.setattr(remote, "TOLD_S", 0.2)
    found: list[Any] = []
    dataset = ray.data.range(3).map(lambda row: row)
    thread = threading.Thread(target=lambda: found.append(dataset.take_all()))
    with caplog.at_level(logging.WARNING, "ray_async.data"):
        with holders():
            thread.start()
            wait_until(lambda: caplog.messages)
        thread.join()
    assert caplog.messages == [
        "ReadRange->Map(<lambda>) cannot start: it waits for 1 CPU, but 0 of 2 CPU are free. Actors that live hold the "
        "others: 2 x Holder (1 CPU each)."
    ]
    assert found == [[{"id": 0}, {"id": 1}, {"id": 2}]]


def test_a_pool_that_cannot_start_says_so(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    monkeypatch.setattr(remote, "TOLD_S", 0.2)
    dataset = ray.data.range(3).map_batches(Adds, fn_constructor_args=(1,), concurrency=1, resources={"rare": 1})
    dataset.context.execution_no_progress_timeout_s = 3
    with caplog.at_level(logging.WARNING, "ray_async.data"), pytest.raises(TimeoutError, match="no call has ended"):
        dataset.take_all()
    assert (
        "an actor of MapBatches(Adds) cannot start: it waits for 1 rare, but 0 of 0 rare are free." in caplog.messages
    )
