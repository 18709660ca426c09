"""The engine's two ways, over Arrow tables and over Parquet files in Polars, give the same rows."""

import math
import random
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import ray_async as ray
from ray_async.data.aggregate import Count, Max, Mean, Min, Std, Sum
from ray_async.data.engine.grouping import aggregated
from ray_async.data.engine.ordering import sorted_table
from ray_async.data.engine.polars_runs import ScanRun, can_aggregate, can_scan

# Polars and Arrow start threads with their first work, once for the process; they are no test's leak.
pl.LazyFrame({"a": [2, 1]}).sort("a").collect().to_arrow()


def random_table(seed: int, rows: int) -> pa.Table:
    chance = random.Random(seed)
    floats = [None, math.nan, -0.0, 0.0, 1.5, -2.0, math.inf]
    return pa.table(
        {
            "f": pa.array([chance.choice(floats) for _ in range(rows)], pa.float64()),
            "i": pa.array([chance.choice([None, -1, 0, 3]) for _ in range(rows)], pa.int32()),
            "s": pa.array([chance.choice([None, "", "a", "é"]) for _ in range(rows)], pa.string()),
            "b": pa.array([chance.choice([None, True, False]) for _ in range(rows)], pa.bool_()),
            "n": pa.array(range(rows), pa.int64()),
        }
    )


def files(table: pa.Table, folder: Path) -> tuple[str, ...]:
    paths = []
    for index, start in enumerate(range(0, table.num_rows, 40)):
        paths.append(str(folder / f"{index:02d}.parquet"))
        pq.write_table(table.slice(start, 40), paths[-1])
    return tuple(paths)


def shown(table: pa.Table) -> str:
    return "\n".join(str(row).replace("-0.0", "0.0") for row in table.to_pylist())


@pytest.mark.parametrize("seed", range(8))
def test_sorts_are_the_same(seed: int, tmp_path: Path) -> None:
    table = random_table(seed, 200)
    chance = random.Random(seed)
    keys = tuple(chance.sample(["f", "i", "s", "b"], chance.randint(1, 3)))
    descending = tuple(chance.random() < 0.5 for _ in keys)
    (found,) = ScanRun(files(table, tmp_path), table.schema, keys, descending).read(None)
    expected = sorted_table(table, keys, descending)
    assert found.schema == table.schema and shown(found) == shown(expected), (seed, keys, descending)


@pytest.mark.parametrize("seed", range(8))
def test_groups_are_the_same(seed: int, tmp_path: Path) -> None:
    table = random_table(seed, 200)
    chance = random.Random(seed)
    keys = tuple(chance.sample(["f", "i", "s", "b"], chance.randint(1, 2)))
    aggregations: tuple[Any, ...] = (
        Count(),
        Count("f", ignore_nulls=True),
        Sum("n"),
        Sum("i"),
        Sum("f"),
        Mean("n"),
        Mean("f"),
        Std("n"),
        Std("i", ddof=0),
        Min("f"),
        Max("s"),
        Min("s"),
        Max("i"),
    )
    assert can_scan(table.schema) and can_aggregate(aggregations, table.schema)
    (found,) = ScanRun(files(table, tmp_path), table.schema, keys, aggregations=aggregations).read(None)
    expected = aggregated(table, keys, aggregations)
    assert found.schema == expected.schema and found.num_rows == expected.num_rows, (seed, keys)
    for got, want in zip(found.to_pylist(), expected.to_pylist(), strict=True):
        for name, value in want.items():
            if isinstance(value, float) and math.isfinite(value):
                assert got[name] == pytest.approx(value), (seed, keys, name)
            else:
                assert str(got[name]) == str(value), (seed, keys, name, got, want)


def test_sums_that_wrap_around_raise(tmp_path: Path) -> None:
    table = pa.table({"k": [1, 1], "v": [2**62, 2**62]})
    with pytest.raises(OverflowError):
        list(ScanRun(files(table, tmp_path), table.schema, ("k",), aggregations=(Sum("v"),)).read(None))


def test_what_polars_is_not_given() -> None:
    assert not can_scan(pa.schema([("l", pa.list_(pa.int64()))]))
    schema = pa.schema([("s", pa.string())])
    assert not can_aggregate((Sum("s"),), schema) and not can_aggregate((Sum("s", ignore_nulls=False),), schema)


@pytest.mark.usefixtures("session")
def test_datasets_use_it_for_large_files(tmp_path: Path) -> None:
    table = random_table(1, 200)
    files(table, tmp_path)
    dataset = ray.data.read_parquet(tmp_path)
    dataset.context.inline_bytes = 0
    ordered, groups = dataset.sort("n", descending=True), dataset.groupby("s").sum("n")
    assert [row["n"] for row in ordered.take_all()] == list(range(199, -1, -1)) and "in Polars" in ordered.stats()
    assert shown(groups.to_arrow()) == shown(aggregated(table, ["s"], [Sum("n")])) and "in Polars" in groups.stats()
