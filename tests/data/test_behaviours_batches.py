"""Right values of batches of loops, shuffles, splits and limits, and of the number of blocks."""

import os
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

import ray_async as ray
from ray_async.data.plan import seeds
from tests.data.behaviours import Case, Raises, check, numbers

pytestmark = pytest.mark.usefixtures("session")


def ids(dataset: Any) -> list[int]:
    return [row["id"] for row in dataset.take_all()]


def sizes(batches: Any) -> list[int]:
    return [len(batch["id"]) for batch in batches]


def lengths(parts: Any) -> list[int]:
    return [part.count() for part in parts]


def slow_start(row: dict[str, Any]) -> dict[str, Any]:
    """Takes longer the earlier the row."""
    return {"id": sum(1 for _ in range(20_000 * (8 - row["id"]))) * 0 + row["id"]}


def halves(share: Any, rows: int = 10) -> list[int]:
    return lengths(numbers(rows).train_test_split(share))


CASES: dict[str, Case] = {
    # Shuffles
    "one seed, one order": (
        lambda: ids(numbers(50).random_shuffle(seed=1)) == ids(numbers(50).random_shuffle(seed=1)),
        True,
    ),
    "whatever the blocks": (
        lambda: ids(numbers(50, 1).random_shuffle(seed=1)) == ids(numbers(50, 7).random_shuffle(seed=1)),
        True,
    ),
    "another seed, another order": (
        lambda: ids(numbers(50).random_shuffle(seed=1)) == ids(numbers(50).random_shuffle(seed=2)),
        False,
    ),
    "all rows are there": (lambda: sorted(ids(numbers(50).random_shuffle(seed=1))), list(range(50))),
    "order of blocks": (
        lambda: (lambda found: (found == ids(numbers(8, 4).randomize_block_order(seed=1)), sorted(found)))(
            ids(numbers(8, 4).randomize_block_order(seed=1))
        ),
        (True, list(range(8))),
    ),
    "a sample is repeatable": (
        lambda: ids(numbers(1000).random_sample(0.5, seed=1)) == ids(numbers(1000).random_sample(0.5, seed=1)),
        True,
    ),
    "a sample is about its share": (lambda: 400 < numbers(1000).random_sample(0.5, seed=1).count() < 600, True),
    # Splits
    "a quarter of ten": (lambda: halves(0.25), [7, 3]),
    "a third of ten": (lambda: halves(0.33), [6, 4]),
    "half of three": (lambda: halves(0.5, 3), [1, 2]),
    "three of ten": (lambda: halves(3), [7, 3]),
    "all of ten": (lambda: halves(1.0), Raises(ValueError)),
    "ten of ten": (lambda: halves(10), Raises(ValueError)),
    "the last are the test": (lambda: ids(numbers(4).train_test_split(0.5)[1]), [2, 3]),
    "three parts": (lambda: lengths(numbers(10).split(3)), [4, 3, 3]),
    "three equal parts": (lambda: lengths(numbers(10).split(3, equal=True)), [3, 3, 3]),
    "parts by share": (lambda: lengths(numbers(10).split_proportionately([0.2, 0.5])), [2, 5, 3]),
    "parts by index": (lambda: lengths(numbers(10).split_at_indices([3, 5])), [3, 2, 5]),
    "repartition": (
        lambda: (lambda ds: (ds.num_blocks(), ids(ds)))(numbers(10).repartition(3).materialize()),
        (3, list(range(10))),
    ),
    # Limits
    "a limit": (lambda: ids(numbers(100, 20).limit(5)), [0, 1, 2, 3, 4]),
    "count of a limit": (lambda: numbers(100, 20).limit(5).count(), 5),
    "a limit below zero": (lambda: numbers().limit(-1), Raises(ValueError)),
    # Loops
    "batches cross blocks": (lambda: sizes(numbers(10, 4).iter_batches(batch_size=3)), [3, 3, 3, 1]),
    "the rest is dropped": (lambda: sizes(numbers(10, 4).iter_batches(batch_size=3, drop_last=True)), [3, 3, 3]),
    "batches are blocks": (lambda: sizes(numbers(12, 4).iter_batches(batch_size=None)), [3, 3, 3, 3]),
    "256 by default": (lambda: sizes(numbers(600, 4).iter_batches()), [256, 256, 88]),
    "arrays are read-only": (lambda: next(iter(numbers(2, 1).iter_batches()))["id"].flags.writeable, False),
    "types of batches": (
        lambda: [
            type(next(iter(numbers().iter_batches(batch_format=form)))).__name__
            for form in ("numpy", "pandas", "pyarrow", None)
        ],
        ["dict", "DataFrame", "Table", "Table"],
    ),
    "an unknown format": (lambda: next(iter(numbers().iter_batches(batch_format="csv"))), Raises(ValueError, "csv")),
    "order with a slow start": (lambda: ids(numbers(8, 8).map(slow_start)), list(range(8))),
    # Blocks
    "few blocks for few rows": (
        lambda: [
            ray.data.range(10).materialize().num_blocks() <= 2,
            ray.data.from_items(list(range(1000))).num_blocks() <= 2,
        ],
        [True, True],
    ),
    # Batch functions that were coroutines or classes
    "an instance without a pool": (lambda: ids(numbers(3).map_batches(Plus(1))), [1, 2, 3]),
    "a class without a pool": (lambda: ids(numbers(3).map_batches(Plus, fn_constructor_args=(1,))), [1, 2, 3]),
    "a coroutine": (lambda: ids(numbers(3).map_batches(unchanged)), [0, 1, 2]),
    "a class that yields asynchronously": (lambda: ids(numbers(2).map_batches(Twice, concurrency=1)), [0, 0, 1, 1]),
}


class Plus:
    def __init__(self, number: int) -> None:
        self.number = number

    def __call__(self, batch: dict[str, np.ndarray[Any, Any]]) -> Any:
        return {"id": batch["id"] + self.number}


class Twice:
    async def __call__(self, batch: dict[str, np.ndarray[Any, Any]]) -> Any:
        for number in batch["id"]:
            yield pa.table({"id": [number, number]})


async def unchanged(batch: dict[str, np.ndarray[Any, Any]]) -> Any:
    return batch


@pytest.mark.parametrize("name", CASES)
def test_batches(name: str) -> None:
    check(CASES[name])


def test_two_actors_are_two_processes(tmp_path: Path) -> None:
    class Pid:
        """Goes on once two processes have come."""

        def __call__(self, batch: Any) -> Any:
            (tmp_path / str(os.getpid())).touch()
            while len(list(tmp_path.iterdir())) < 2:
                threading.Event().wait(0.01)
            return {"pid": [os.getpid()]}

    found = numbers(4, 4).map_batches(Pid, compute=ray.data.ActorPoolStrategy(size=2)).take_all()
    assert {str(row["pid"]) for row in found} == {path.name for path in tmp_path.iterdir()}
    assert len(list(tmp_path.iterdir())) == 2


def test_without_a_seed_each_execution_draws_one(monkeypatch: pytest.MonkeyPatch) -> None:
    drawn = iter([7, 8])
    monkeypatch.setattr(seeds, "drawn_seed", lambda: next(drawn))
    dataset = numbers(50).random_shuffle()
    assert ids(dataset) == ids(numbers(50).random_shuffle(seed=7))
    assert ids(dataset) == ids(numbers(50).random_shuffle(seed=8))
