"""Flow: who pauses or leaves stops what stands before it, and leaves nothing behind."""

import asyncio
import os
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import psutil  # type: ignore[import-untyped]  # it has no types
import pytest

import ray_async as ray
from ray_async.data import ActorPoolStrategy
from tests.data.sizes import full

pytestmark = pytest.mark.usefixtures("session")

ROWS = full(300, 2000)
BUDGET = full(20, 51) << 20


def ids(dataset: Any) -> list[int]:
    return [row["id"] for row in dataset.take_all()]


class Growing:
    """A function of rows that makes 1 MB of each, and notes how often it was called."""

    def __init__(self, notes: Path) -> None:
        self.notes = notes

    def __call__(self, row: dict[str, Any]) -> dict[str, Any]:
        with open(self.notes, "a") as file:
            file.write("x")
        return {"id": row["id"], "data": np.zeros(1 << 17)}


def growing(notes: Path) -> Any:
    dataset = ray.data.range(ROWS, override_num_blocks=ROWS).map(Growing(notes))
    dataset.context.execution_options.resource_limits.object_store_memory = BUDGET
    return dataset


def settled(notes: Path, wait_until: Any) -> int:
    """The number of notes, in a file or in those of a folder, once none is added any more."""
    seen: list[tuple[float, int]] = []

    def same() -> bool:
        files = notes.iterdir() if notes.is_dir() else [notes]
        size = sum(file.stat().st_size for file in files if file.exists())
        now = time.monotonic()
        if not seen or seen[-1][1] != size:
            seen.append((now, size))
        return now - seen[-1][0] > full(0.7, 3.0)

    wait_until(same, timeout=60)
    return seen[-1][1]


@pytest.mark.parametrize("how", ["rows", "batches"])
def test_a_consumer_that_pauses_stops_the_stages_before_it(how: str, tmp_path: Path, wait_until: Any) -> None:
    dataset, notes = growing(tmp_path / "notes"), tmp_path / "notes"
    if how == "rows":
        numbers: Iterator[int] = (row["id"] for row in dataset.iter_rows())
    else:
        batches = dataset.iter_batches(batch_size=1, prefetch_batches=4)
        numbers = (int(batch["id"][0]) for batch in batches)
    found = [next(numbers) for _ in range(3)]
    assert settled(notes, wait_until) <= (BUDGET >> 20) + 3 + 4 + 6
    assert found + list(numbers) == list(range(ROWS))


async def test_a_coroutine_that_pauses_stops_the_stages_before_it(tmp_path: Path) -> None:
    dataset, notes = growing(tmp_path / "notes"), tmp_path / "notes"
    found, size = [], -1
    async for row in dataset:
        found.append(row["id"])
        if len(found) == 3:
            while size != (size := notes.stat().st_size):
                await asyncio.sleep(0.5)
            assert size <= (BUDGET >> 20) + 3 + 6
    assert found == list(range(ROWS))


class Yielding:
    """A class whose async generator yields many arrays of 1 MB for each batch."""

    def __init__(self, folder: Path, count: int) -> None:
        self.folder, self.count = folder, count

    async def __call__(self, batch: dict[str, Any]) -> AsyncIterator[dict[str, Any]]:
        for number in range(self.count):
            with open(self.folder / str(batch["id"][0]), "a") as file:
                file.write("x")
            yield {"id": batch["id"], "n": [number], "data": np.zeros((1, 1 << 17))}


@pytest.mark.parametrize(
    ("compute", "at_once"),
    [
        (ActorPoolStrategy(size=4), 1),  # those that start late may find that the others have taken the memory
        (ActorPoolStrategy(size=1, max_concurrent_calls_per_actor=4), 4),
    ],
)
def test_async_generators_pause_with_their_consumer(
    compute: Any, at_once: int, tmp_path: Path, wait_until: Any
) -> None:
    count = full(50, 200)
    dataset = ray.data.range(4).map_batches(
        Yielding, fn_constructor_args=(tmp_path, count), batch_size=1, compute=compute
    )
    dataset.context.execution_options.resource_limits.object_store_memory = 25 << 20
    batches = dataset.iter_batches(batch_size=1)
    first = next(batches)
    wait_until(lambda: len(list(tmp_path.iterdir())) >= at_once, timeout=60)
    yielded = settled(tmp_path, wait_until)
    assert yielded <= 100 < 4 * count
    rows = [first, *batches]
    assert [(int(row["id"][0]), int(row["n"][0])) for row in rows] == [(i, n) for i in range(4) for n in range(count)]


def test_generators_stream_too_and_their_errors_are_the_functions(tmp_path: Path) -> None:
    class Failing:
        def __call__(self, batch: dict[str, Any]) -> Iterator[dict[str, Any]]:
            yield {"id": [1]}
            raise KeyError("in the middle")

    with pytest.raises(KeyError, match="in the middle"):
        ray.data.range(2).map_batches(Failing).take_all()

    class Repeating:
        def __call__(self, batch: dict[str, Any]) -> Iterator[dict[str, Any]]:
            for number in batch["id"]:
                mark = tmp_path / "died"
                if number == 7 and not mark.exists():
                    mark.touch()
                    os._exit(1)
                yield {"id": [number], "data": np.zeros((1, 1 << 17))}

    dataset = ray.data.range(10, override_num_blocks=1).map_batches(Repeating)
    dataset.context.target_max_block_size = 1 << 20
    assert ids(dataset) == list(range(10)) and (tmp_path / "died").exists()


def test_coroutines_of_a_class_run_at_once_and_keep_the_order() -> None:
    class Waiting:
        def __init__(self) -> None:
            self.others = asyncio.Event()

        async def __call__(self, batch: dict[str, Any]) -> dict[str, Any]:
            if batch["id"][0] == 0:
                await self.others.wait()
            elif batch["id"][0] == 9:
                self.others.set()
            return batch

    pool = ActorPoolStrategy(size=1, max_concurrent_calls_per_actor=10)
    dataset = ray.data.range(10).map_batches(Waiting, batch_size=1, compute=pool)
    dataset.context.execution_options.preserve_order = True
    assert ids(dataset) == list(range(10))


class Slow:
    """A class whose instances wait for a file that is never there, but for the first batch."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __call__(self, batch: dict[str, Any]) -> dict[str, Any]:
        (self.folder / str(os.getpid())).touch()
        while batch["id"][0] > 3 and not (self.folder / "go").exists():
            threading.Event().wait(0.05)
        return batch


def leave_by_break(dataset: Any) -> None:
    for _ in dataset.iter_batches(batch_size=4):
        break


def leave_by_error(dataset: Any) -> None:
    with pytest.raises(ZeroDivisionError):
        for _ in dataset.iter_batches(batch_size=4):
            raise ZeroDivisionError


def leave_by_dropping(dataset: Any) -> None:
    iterator = dataset.iter_batches(batch_size=4)
    next(iterator)
    del iterator


def leave_by_cancelling(dataset: Any) -> None:
    async def loop(started: asyncio.Event) -> None:
        async for _ in dataset:
            started.set()
            await asyncio.Event().wait()

    async def main() -> None:
        started = asyncio.Event()
        async with asyncio.TaskGroup() as group:
            task = group.create_task(loop(started))
            await started.wait()
            task.cancel()

    asyncio.run(main())


def leave_by_taking(dataset: Any) -> None:
    assert dataset.take(1) == [{"id": 0}]


def leave_by_schema(dataset: Any) -> None:
    assert dataset.schema().names == ["id"]


@pytest.mark.parametrize(
    "leave",
    [leave_by_break, leave_by_error, leave_by_dropping, leave_by_cancelling, leave_by_taking, leave_by_schema],
)
def test_what_is_left_early_leaves_nothing(leave: Callable[[Any], None], tmp_path: Path, wait_until: Any) -> None:
    def epoch() -> None:
        dataset = ray.data.range(80, override_num_blocks=20).map_batches(
            Slow, fn_constructor_args=(tmp_path,), concurrency=2, batch_size=4
        )
        leave(dataset)

    def processes() -> list[int]:
        return [int(path.name) for path in tmp_path.iterdir() if psutil.pid_exists(int(path.name))]

    epoch()
    wait_until(lambda: not processes(), timeout=60)
    wait_until(lambda: ray.available_resources().get("CPU") == 2, timeout=60)
    first = threading.active_count(), psutil.Process().num_fds()
    for _ in range(full(1, 20)):
        epoch()
    wait_until(lambda: not processes(), timeout=60)
    wait_until(lambda: ray.available_resources().get("CPU") == 2, timeout=60)
    wait_until(lambda: (threading.active_count(), psutil.Process().num_fds()) <= first, timeout=60)
    assert ids(ray.data.range(4).map(lambda row: row)) == [0, 1, 2, 3]


def test_two_iterators_at_a_time() -> None:
    one, other = (ray.data.range(6, override_num_blocks=3).map(lambda row: row).iter_rows() for _ in range(2))
    assert [next(one), next(other), next(one), next(other)] == [{"id": 0}, {"id": 0}, {"id": 1}, {"id": 1}]
    assert [row["id"] for row in one] == [row["id"] for row in other] == [2, 3, 4, 5]


def inner_count(value: Any) -> dict[str, Any]:
    return {"n": [ray.data.range(20, override_num_blocks=4).map(lambda row: row).count()]}


class InnerCount:
    def __call__(self, batch: Any) -> dict[str, Any]:
        return inner_count(batch)


def test_datasets_inside_of_functions_of_datasets() -> None:
    outer = ray.data.range(4, override_num_blocks=4)
    assert outer.map(lambda row: {"n": inner_count(row)["n"][0]}).take_all() == [{"n": 20}] * 4
    assert outer.map_batches(InnerCount, concurrency=2).take_all() == [{"n": 20}] * 4
