"""Exchanges of rows between calls: even cuts, whole groups, deaths in the middle, and no row lost or doubled."""

import contextlib
import os
import signal
import threading
from collections import Counter
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

import ray_async as ray
from ray_async.data.aggregate import Count, Max, Mean, Min, Std, Sum
from ray_async.data.block.run_file import RunFile
from tests.data.sizes import full
from tests.faults.session import worker_pids

pytestmark = pytest.mark.usefixtures("session")


@pytest.fixture
def small_calls(monkeypatch: pytest.MonkeyPatch) -> Callable[[int], None]:
    """Sets the size up to which one call does everything."""

    def limit(size: int) -> None:
        monkeypatch.setattr("ray_async.data.executor.execution.MAX_CALL_BYTES", size)

    return limit


def ids(dataset: Any) -> list[int]:
    return [row["id"] for row in dataset.take_all()]


def block_sizes(dataset: Any) -> list[int]:
    return [len(batch[next(iter(batch))]) for batch in dataset.iter_batches(batch_size=None)]


def cut(table: pa.Table, parts: int) -> Any:
    """A dataset of a table whose sorts make so many blocks."""
    dataset = ray.data.from_arrow(table, override_num_blocks=8)
    dataset.context.target_max_block_size = table.nbytes // parts
    dataset.context.inline_bytes = 0
    return dataset


def spilling(dataset: Any) -> Any:
    """The dataset with room for so little that all its barriers write files."""
    dataset.context.execution_options.resource_limits.object_store_memory = 4000
    dataset.context.inline_bytes = 0
    return dataset


def spill_folders() -> list[str]:
    """Folders of barriers that exist."""
    folder = Path(ray.get_runtime_context().get_spill_dir())
    return [path.name for path in folder.glob("data-*")]


def joined(other: Any, how: str, dataset: Any) -> Any:
    """A join in an order of its own: full outer joins have rows without a number."""
    return dataset.join(other, how, on=("v",)).sort(["n", "w"] if "semi" not in how else "n")


def test_rows_in_files_are_those_in_the_store(small_calls: Any) -> None:
    small_calls(8000)
    rng = np.random.default_rng(1)
    values = [None if value < 0.1 else float("nan") if value < 0.2 else round(value, 2) for value in rng.random(3000)]
    table = pa.table({"v": values, "t": [f"{value}"[:3] for value in rng.random(3000)], "n": np.arange(3000)})

    def check(make: Callable[[Any], Any]) -> None:
        in_store, in_files = make(cut(table, 10)), spilling(make(cut(table, 10)))
        assert repr(in_files.take_all()) == repr(in_store.take_all())

    check(lambda dataset: dataset.sort(["v", "t"]))
    check(lambda dataset: dataset.sort(["v", "t"], descending=[True, False]))
    check(lambda dataset: dataset.random_shuffle(seed=5))
    check(lambda dataset: dataset.groupby("t").map_groups(lambda frame: frame.head(2), batch_format="pandas"))
    check(lambda dataset: dataset.groupby(["t", "v"]).aggregate(Sum("n"), Max("n", ignore_nulls=False)))
    other = ray.data.from_arrow(pa.table({"v": [0.5, 0.25, None], "w": [1, 2, 3]}), override_num_blocks=3)
    for how in ("inner", "left_outer", "full_outer", "left_semi"):
        check(partial(joined, other, how))
    assert not spill_folders()


def test_a_sort_in_files_is_stable_and_even_for_one_key(small_calls: Any) -> None:
    small_calls(16000)
    keys = np.where(np.arange(20000) % 10 == 0, np.arange(20000), 7)
    table = pa.table({"k": keys, "n": np.arange(20000)})
    batches = iter(spilling(cut(table, 20).sort("k")).iter_batches(batch_size=None))
    found = [next(batches)]
    assert spill_folders(), "merges are still to come"
    found += batches
    assert not spill_folders()
    assert np.concatenate([batch["n"] for batch in found]).tolist() == np.lexsort((np.arange(20000), keys)).tolist()
    sizes = [len(batch["n"]) for batch in found]
    assert len(sizes) > 8 and max(sizes) <= 2 * np.mean(sizes)


def test_a_folder_that_takes_no_files_is_told(
    small_calls: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    small_calls(8000)
    (tmp_path / "file").touch()
    monkeypatch.setattr("ray_async.data.executor.execution._spill_folder", lambda: str(tmp_path / "file" / "folder"))
    with pytest.raises(ray.exceptions.OutOfDiskError, match="rows that do not fit into memory"):
        spilling(ray.data.range(5000, override_num_blocks=4).random_shuffle()).take_all()


def test_a_disk_that_is_full_in_the_middle_is_told(tmp_path: Path) -> None:
    import resource

    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, limits[1]))
    try:
        with pytest.raises(ray.exceptions.OutOfDiskError, match=f"{tmp_path}"):
            RunFile.written([pa.table({"x": np.zeros(100_000)})], str(tmp_path))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert not list(tmp_path.iterdir())


def test_sorts_by_two_keys_are_cut_evenly(small_calls: Any) -> None:
    rng = np.random.default_rng(0)
    a, b = rng.integers(0, 2, 100000), rng.integers(0, 10000, 100000)
    table = pa.table({"a": a, "b": b, "n": np.arange(100000)})
    small_calls(table.nbytes // 20)
    found = cut(table, 20).sort(["a", "b"]).materialize()
    sizes = block_sizes(found)
    assert 15 <= len(sizes) <= 30 and max(sizes) <= 2 * np.mean(sizes)
    assert found.to_pandas()["n"].tolist() == np.lexsort((np.arange(100000), b, a)).tolist()


def test_one_key_that_most_rows_have(small_calls: Any) -> None:
    rng = np.random.default_rng(0)
    keys = np.where(rng.random(20000) < 0.9, 5, rng.integers(0, 50, 20000))
    table = pa.table({"k": keys, "v": np.arange(20000)})
    small_calls(table.nbytes // 10)
    dataset = cut(table, 10)
    found = dataset.sort("k").materialize()
    sizes = block_sizes(found)
    assert max(sizes) <= 2 * np.mean(sizes)
    assert found.to_pandas()["v"].tolist() == np.argsort(keys, kind="stable").tolist()
    expected = pd.DataFrame({"k": keys, "v": np.arange(20000)}).groupby("k")["v"].agg(["sum", "count"])
    sums = dataset.groupby("k").sum("v").to_pandas()
    assert sums["k"].tolist() == expected.index.tolist() and sums["sum(v)"].tolist() == expected["sum"].tolist()
    calls = dataset.groupby("k").map_groups(lambda f: pd.DataFrame({"k": f["k"][:1], "n": [len(f)]}))
    assert [(row["k"], row["n"]) for row in calls.take_all()] == list(expected["count"].items())


def test_aggregations_by_parts_are_those_of_the_whole(small_calls: Any) -> None:
    rng = np.random.default_rng(1)
    count = 5000
    numbers = np.where(rng.random(count) < 0.1, np.nan, rng.integers(0, 9, count) * 0.5)
    floats = pa.array(numbers, mask=rng.random(count) < 0.1)
    table = pa.table(
        {
            "k": pa.array(rng.integers(0, 6, count), mask=rng.random(count) < 0.1),
            "i": pa.array(rng.integers(-9, 9, count).astype(np.int32), mask=rng.random(count) < 0.1),
            "f": floats,
            "s": [f"text {value}" for value in rng.integers(0, 99, count)],
        }
    )
    aggregations = (
        Count(),
        Count("i"),
        Count("f", ignore_nulls=True, alias_name="there"),
        Sum("i"),
        Sum("f"),
        Mean("i"),
        Mean("f"),
        Min("s"),
        Max("s"),
        Min("f"),
        Max("i"),
    )
    for chosen in (aggregations, (*aggregations, Std("f"))):
        for key in ("k", ["k", "f"]):
            whole = ray.data.from_arrow(table).groupby(key).aggregate(*chosen).to_arrow()
            small_calls(table.nbytes // 10)
            parts = cut(table, 10).groupby(key).aggregate(*chosen).to_arrow()
            small_calls(1 << 30)
            assert parts.schema == whole.schema
            for got, want in zip(parts.to_pylist(), whole.to_pylist(), strict=True):
                for name, value in want.items():
                    assert got[name] == value or str(got[name]) == str(value) or got[name] == pytest.approx(value)
    with pytest.raises(OverflowError):
        small_calls(100)
        cut(pa.table({"k": [1] * 50, "i": [2**62] * 50}), 5).groupby("k").sum("i").take_all()


def test_blocks_by_keys() -> None:
    dataset = ray.data.from_items([{"k": i % 7, "v": -i} for i in range(100)], override_num_blocks=5)
    found = dataset.repartition(4, keys=["k"], sort=True).materialize()
    blocks = [batch["k"].tolist() for batch in found.iter_batches(batch_size=None)]
    assert found.num_blocks() == 4 and all(block == sorted(block) for block in blocks)
    assert sum(len(set(block)) for block in blocks) == 7 and sum(len(block) for block in blocks) == 100
    assert sorted(row["v"] for row in found.take_all()) == list(range(-99, 1))
    empty = ray.data.range(3).filter(expr="id > 5").repartition(2, keys=["id"])
    assert empty.take_all() == [] and empty.columns() == ["id"]
    for wrong in ({"num_blocks": 2, "sort": True}, {"target_num_rows_per_block": 2, "keys": ["k"]}):
        with pytest.raises(ValueError, match="keys"):
            dataset.repartition(**wrong)
    with pytest.raises(KeyError, match="'zz'"):
        dataset.repartition(2, keys=["zz"])


def test_blocks_between_boundaries() -> None:
    numbers = ray.data.from_items([{"id": i} for i in [7, None, 3, 14, 5, 9, 10, 0]], override_num_blocks=3)
    found = numbers.sort("id", boundaries=[5, 10])
    assert [batch["id"].tolist() for batch in found.iter_batches(batch_size=None, batch_format="pandas")] == [
        [0, 3],
        [5, 7, 9],
        [10, 14, pd.NA],
    ]
    down = numbers.sort("id", descending=True, boundaries=[5, 10])
    assert [batch.column("id").to_pylist() for batch in down.iter_batches(batch_size=None, batch_format="pyarrow")] == [
        [14, 10],
        [9, 7, 5],
        [3, 0, None],
    ]
    with pytest.raises(ValueError, match="boundaries"):
        numbers.sort("id", boundaries=[10, 5])


def test_streaming_train_test_split() -> None:
    numbers = ray.data.range(1000, override_num_blocks=7).map(lambda row: row)
    for seed in (None, 3):
        train, test = numbers.streaming_train_test_split(0.25, seed=seed)
        assert sorted(ids(train) + ids(test)) == list(range(1000)) and 180 < test.count() < 320
    test = numbers.streaming_train_test_split(0.25, seed=3)[1]
    assert ids(numbers.streaming_train_test_split(0.25, seed=3)[1]) == ids(test)
    words = ray.data.from_items([{"w": f"word {i % 50}"} for i in range(500)])
    train, test = words.streaming_train_test_split(0.3, split_type="hash", hash_column="w")
    kept, tested = Counter(row["w"] for row in train.take_all()), Counter(row["w"] for row in test.take_all())
    assert not set(kept) & set(tested) and kept + tested == Counter({f"word {i}": 10 for i in range(50)})
    for wrong in (
        {"test_size": 1.0},
        {"test_size": 0.5, "split_type": "other"},
        {"test_size": 0.5, "split_type": "hash"},
        {"test_size": 0.5, "hash_column": "w"},
        {"test_size": 0.5, "split_type": "hash", "hash_column": "w", "seed": 1},
    ):
        with pytest.raises(ValueError):
            words.streaming_train_test_split(**wrong)


# Deaths


class Killer:
    """A thread that kills one worker of the session: which and when, the seed decides."""

    def __init__(self, seed: int) -> None:
        self._delay = np.random.default_rng(seed).random() * 0.4
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self._chance = np.random.default_rng(seed)

    def __enter__(self) -> None:
        self._thread.start()

    def __exit__(self, *error: object) -> None:
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        self._stop.wait(self._delay)
        workers = worker_pids()
        if workers:
            with contextlib.suppress(ProcessLookupError):
                os.kill(workers[int(self._chance.integers(len(workers)))], signal.SIGKILL)


ROWS = 2000
UNDISTURBED = sorted(range(ROWS))
OTHER = [{"id": i, "w": i * 2} for i in range(0, ROWS, 2)]


def slowly(row: dict[str, Any]) -> dict[str, Any]:
    return row


EXCHANGES: dict[str, tuple[Callable[[Any], Any], list[int]]] = {
    "shuffle": (lambda d: d.random_shuffle(), UNDISTURBED),
    "sort": (lambda d: d.sort("id", descending=True), UNDISTURBED),
    "repartition": (lambda d: d.repartition(7, shuffle=True), UNDISTURBED),
    "keys": (lambda d: d.repartition(5, keys=["id"]), UNDISTURBED),
    "join": (lambda d: d.join(ray.data.from_items(OTHER, override_num_blocks=3), "inner"), UNDISTURBED[::2]),
    "groups": (lambda d: d.groupby("id").map_groups(lambda frame: frame), UNDISTURBED),
    "sums": (lambda d: d.groupby("id").count(), UNDISTURBED),
    "rows": (lambda d: d.map(slowly).filter(lambda row: True).flat_map(lambda row: [row]), UNDISTURBED),
    "union": (lambda d: d.filter(lambda r: r["id"] < 1000).union(d.filter(lambda r: r["id"] >= 1000)), UNDISTURBED),
    "zip": (lambda d: d.zip(d), UNDISTURBED),
    "limit": (lambda d: d.limit(1500), UNDISTURBED[:1500]),
}


@pytest.mark.parametrize("seed", range(full(1, 50)))
@pytest.mark.parametrize("how", EXCHANGES)
def test_killed_workers_lose_and_double_nothing(how: str, seed: int, small_calls: Any) -> None:
    small_calls(4000)
    exchange, expected = EXCHANGES[how]
    dataset = exchange(ray.data.range(ROWS, override_num_blocks=8).map(slowly))
    with Killer(seed):
        found = ids(dataset)
    assert sorted(found) == expected, seed
    assert how != "sort" or found == expected[::-1]


@pytest.mark.parametrize("seed", range(full(1, 50)))
@pytest.mark.parametrize("how", ["shuffle", "sort", "repartition", "keys", "join", "groups", "sums"])
def test_killed_workers_lose_and_double_nothing_in_files(how: str, seed: int, small_calls: Any) -> None:
    small_calls(4000)
    exchange, expected = EXCHANGES[how]
    dataset = spilling(exchange(ray.data.range(ROWS, override_num_blocks=8).map(slowly)))
    with Killer(seed):
        found = ids(dataset)
    assert sorted(found) == expected, seed
    assert how != "sort" or found == expected[::-1]
    assert not spill_folders()


@pytest.mark.parametrize("seed", range(full(2, 20)))
def test_a_shuffle_without_a_seed_draws_once_although_a_worker_dies(seed: int, small_calls: Any) -> None:
    small_calls(2000)
    numbers = ray.data.range(1000, override_num_blocks=6).map(slowly)
    with Killer(seed):
        assert sorted(ids(numbers.random_shuffle())) == list(range(1000))
    with Killer(seed + 1):
        train, test = numbers.train_test_split(0.25, shuffle=True)
        assert sorted(ids(train) + ids(test)) == list(range(1000)) and test.count() == 250
    with Killer(seed + 2):
        parts = numbers.streaming_train_test_split(0.25)
        assert sorted(ids(parts[0]) + ids(parts[1])) == list(range(1000))


def test_a_worker_that_dies_in_an_exchange(tmp_path: Path, small_calls: Any) -> None:
    small_calls(2000)

    def die_once(row: dict[str, Any]) -> dict[str, Any]:
        mark = tmp_path / "died"
        if row["id"] == 321 and not mark.exists():
            mark.touch()
            os.kill(os.getpid(), signal.SIGKILL)
        return row

    for how in ("shuffle", "sort", "groups"):
        dataset = EXCHANGES[how][0](ray.data.range(1000, override_num_blocks=8)).map(die_once)
        assert sorted(ids(dataset)) == list(range(1000)) and (tmp_path / "died").exists()
        (tmp_path / "died").unlink()
