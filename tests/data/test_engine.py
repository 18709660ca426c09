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
from ray_async.data.engine import polars_parts
from ray_async.data.engine.grouping import aggregated
from ray_async.data.engine.joining import joined
from ray_async.data.engine.lookups import places_of
from ray_async.data.engine.ordering import sorted_table
from ray_async.data.engine.polars_runs import PolarsRun, can_run
from ray_async.data.engine.relation import Grouped, Joined, Projected, Relation, Scan, Sorted, Where
from ray_async.data.expressions import col, lit
from ray_async.data.expressions.evaluation import filtered
from ray_async.data.plan.optimizer import optimized
from ray_async.data.plan.relational import whole_run

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
    scan = Scan(table.schema, files(table, tmp_path))
    (found,) = PolarsRun(Sorted(table.schema, scan, keys, descending)).read(None)
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
    expected = aggregated(table, keys, aggregations)
    relation = Grouped(expected.schema, Scan(table.schema, files(table, tmp_path)), keys, aggregations)
    assert can_run(relation)
    (found,) = PolarsRun(relation).read(None)
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
        list(PolarsRun(sums(Scan(table.schema, files(table, tmp_path)))).read(None))


def sums(relation: Relation) -> Grouped:
    return Grouped(pa.schema([("k", pa.int64()), ("sum(v)", pa.int64())]), relation, ("k",), (Sum("v"),))


HOWS = ("inner", "left_outer", "left_semi", "left_anti")


@pytest.mark.parametrize("seed", range(8))
def test_joins_are_the_same(seed: int, tmp_path: Path) -> None:
    left, right = random_table(seed, 120), random_table(seed + 100, 50).rename_columns(["g", "j", "s", "c", "m"])
    chance = random.Random(seed)
    pairs = chance.sample([("i", "j"), ("s", "s"), ("b", "c")], chance.randint(1, 3))
    left_on, right_on = tuple(one for one, _ in pairs), tuple(other for _, other in pairs)
    how = HOWS[seed % len(HOWS)]
    options: tuple[Any, ...] = (left_on, right_on, how, None, "_r")
    expected = joined(left, right, *options)
    (tmp_path / "left").mkdir()
    (tmp_path / "right").mkdir()
    paths, more = files(left, tmp_path / "left"), files(right, tmp_path / "right")
    one, other = ray.data.read_parquet(tmp_path / "left"), ray.data.read_parquet(tmp_path / "right")
    relation = whole_run(one.join(other, how, None, *options[:2], None, "_r")._node, 1 << 30)
    assert isinstance(relation, Joined) and relation.left.paths == paths and relation.right.paths == more
    (found,) = PolarsRun(relation).read(None)
    assert found.schema == expected.schema and shown(found) == shown(expected), (seed, options)


KINDS = (pa.int64(), pa.int8(), pa.uint32(), pa.int16())


@pytest.mark.parametrize("part_bytes", [300, 1 << 20])
@pytest.mark.parametrize("seed", range(8))
def test_joins_with_rows_found_by_their_places_are_the_same(
    seed: int, part_bytes: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(polars_parts, "PART_BYTES", part_bytes)
    chance, kind = random.Random(seed), KINDS[seed % len(KINDS)]
    low = 5 if kind == pa.uint32() else -20
    ids: list[int | None] = [*chance.sample(range(low, low + 100), 40), None, None]
    chance.shuffle(ids)
    far = [None, low, low + 99, low - 1 if low < 0 else 0, 127, *([2**63 - 1, -(2**63)] if kind == pa.int64() else [])]
    keys = [chance.choice([chance.choice(far), chance.randint(low, low + 99)]) for _ in range(200)]
    left = random_table(seed, 200).append_column("k", pa.array(keys, kind))
    right = random_table(seed + 50, len(ids)).append_column("id", pa.array(ids, kind))
    assert places_of(pl.Series(right.column("id").to_pylist(), dtype=pl.Int64)) is not None
    for name, table in (("left", left), ("right", right)):
        (tmp_path / name).mkdir()
        files(table, tmp_path / name)
    one, other = ray.data.read_parquet(tmp_path / "left"), ray.data.read_parquet(tmp_path / "right")
    for how in ("inner", "left_outer"):
        relation = whole_run(one.join(other, how, None, ("k",), ("id",), None, "_r")._node, 1 << 30)
        assert relation is not None
        tables = list(PolarsRun(relation).read(None))
        expected = joined(left, right, ("k",), ("id",), how, None, "_r")
        assert (len(tables) > 3) == (part_bytes == 300)
        assert shown(pa.concat_tables(tables).select(expected.column_names)) == shown(expected), (seed, how)


def test_which_keys_are_places() -> None:
    def rows(keys: list[int | None], *wanted: int | None) -> list[int] | None:
        places = places_of(pl.Series(keys, dtype=pl.Int64))
        return None if places is None else places.find(pl.Series(wanted, dtype=pl.Int64)).tolist()

    assert rows([7, None, 5], 5, 6, 7, 8, 4, None, 2**63 - 1, -(2**63)) == [2, -1, 0, -1, -1, -1, -1, -1]
    assert rows([-3, -(2**62), -5]) is None, "too far apart"
    assert rows([1, 2, 1]) is None, "twice"
    assert rows([]) is None and rows([None]) is None
    assert rows([0]) == [] and rows([2**63 - 1, 2**63 - 2], 2**63 - 1, -(2**63), None) == [0, -1, -1]


PREDICATES = (
    col("f") > 0.5,
    col("f") >= -0.0,
    lit(0.5) <= col("f"),
    ~(col("f") > 0.5),
    ~(col("f") < 0.5),
    (col("f") != 1.5) | (col("s") == "a"),
    (col("i") > 0) & ~(col("b") == True),  # noqa: E712 - an expression
    (col("f") * (1 - col("f"))) < col("i") * 0.5 + 2.0,
    col("i").is_in([3, -1]) | col("s").is_null(),
    ~col("i").is_in([3]),
    col("s").str.contains("a") | col("s").str.starts_with("\u00e9"),
    (col("f") / 0.0) > 1.0,
)


@pytest.mark.parametrize("number", range(len(PREDICATES)))
def test_expressions_are_the_same(number: int, tmp_path: Path) -> None:
    table, predicate = random_table(number, 200), PREDICATES[number]
    relation = Where(table.schema, Scan(table.schema, files(table, tmp_path)), predicate)
    if not can_run(relation):
        assert number == 7, "numbers beside computed numbers, of which either may be NaN"
        return
    (found,) = PolarsRun(relation).read(None)
    assert shown(found) == shown(filtered(table, predicate)), predicate


def test_what_polars_is_not_given(tmp_path: Path) -> None:
    def scan(**types: pa.DataType) -> Scan:
        return Scan(pa.schema(list(types.items())), (str(tmp_path / "none.parquet"),))

    assert not can_run(scan(x=pa.list_(pa.int64()))) and not can_run(scan(x=pa.decimal128(10, 2)))
    text = scan(k=pa.int64(), v=pa.string())
    for aggregation in (Sum("v"), Sum("k", ignore_nulls=False)):
        assert not can_run(Grouped(text.schema, text, ("k",), (aggregation,)))
    wide = sums(scan(k=pa.int64(), v=pa.int64()))
    assert can_run(wide) and not can_run(Where(wide.schema, wide, col("k") > 1)), "nobody would look at the sums"
    floats = scan(k=pa.float64())
    assert not can_run(Joined(floats.schema, floats, floats, ("k",), ("k",), "inner"))
    assert not can_run(Where(text.schema, text, col("k") + 1 > 2)), "whole numbers may wrap around"


def test_a_filter_below_a_join_and_columns_above_it_are_one_run(tmp_path: Path) -> None:
    table = pa.table({"k": [1, 2, 3, 4], "v": [1.0, 2.0, 3.0, 4.0]})
    pq.write_table(table, tmp_path / "a.parquet")
    data = ray.data.read_parquet(tmp_path)
    kept = data.filter(expr=col("v") > 1.5).select_columns(["k"])
    found = data.join(kept, "inner", on=("k",)).with_column("w", col("v") * 2)
    found = found.groupby(None).aggregate(Sum("w", alias_name="w"))
    relation = whole_run(optimized(found._node), 1 << 30)
    assert relation is not None
    assert [part.to_pylist() for part in PolarsRun(relation).read(None)] == [[{"w": 18.0}]]
    assert whole_run(optimized(found._node), 1) is None, "more than a call may hold"


@pytest.mark.usefixtures("session")
def test_datasets_use_it_for_large_files(tmp_path: Path) -> None:
    table = random_table(1, 200)
    files(table, tmp_path)
    dataset = ray.data.read_parquet(tmp_path)
    dataset.context.inline_bytes = 0
    ordered, groups = dataset.sort("n", descending=True), dataset.groupby("s").sum("n")
    assert [row["n"] for row in ordered.take_all()] == list(range(199, -1, -1)) and "in Polars" in ordered.stats()
    assert shown(groups.to_arrow()) == shown(aggregated(table, ["s"], [Sum("n")])) and "in Polars" in groups.stats()


CHUNKS = (
    ([[0, 1], [2, 3], [4, 5]], 3),
    ([[4, 5, 5], [], [2], [0, 1]], 6),
    ([[3, 0], [2, 2], [3, 1, 7]], 7),  # all overlap: they are gathered
)


@pytest.mark.parametrize("part_bytes", [1, 200, 1 << 20])
@pytest.mark.parametrize(("chunks", "apart"), CHUNKS)
def test_rows_are_brought_back_into_order(
    chunks: list[list[int]], apart: int, part_bytes: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(polars_parts, "PART_BYTES", part_bytes)
    monkeypatch.setattr(polars_parts, "_RUN_ROWS", 1 if part_bytes == 1 else 4)
    minor = iter([9, None, 8, 7, 6, 5, 4])
    types = {"a": pl.UInt32, "b": pl.UInt32}
    frame = pl.concat([pl.DataFrame({"a": chunk, "b": [next(minor) for _ in chunk]}, types) for chunk in chunks])
    frame = frame.with_columns(c=pl.col("b"))
    expected = sorted(frame.rows(), key=lambda row: (row[0], row[1] or 0))
    parts = polars_parts.restored(frame, "a", "b")
    tables = list(polars_parts.tables_of(parts, pa.schema([("c", pa.int64())])))
    assert [value for table in tables for value in table.column("c").to_pylist()] == [row[1] for row in expected]
    assert part_bytes == 200 or len(tables) == (apart if part_bytes == 1 else 1)


@pytest.mark.parametrize("how", ["inner", "left_outer"])
@pytest.mark.parametrize("part_bytes", [1000, 50_000])
def test_what_is_made_of_a_join_in_parts_has_its_order(
    how: str, part_bytes: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(polars_parts, "PART_BYTES", part_bytes)
    left, right = random_table(1, 500), random_table(2, 60).rename_columns(["g", "j", "t", "c", "m"])
    for name, table in (("left", left), ("right", right)):
        (tmp_path / name).mkdir()
        files(table, tmp_path / name)
    one, other = ray.data.read_parquet(tmp_path / "left"), ray.data.read_parquet(tmp_path / "right")
    found = one.join(other, how, None, ("i",), ("j",)).filter(expr=col("n") > 7).with_column("w", col("f") * 2)
    relation = whole_run(optimized(found._node), 1 << 30)
    assert isinstance(relation, Projected)
    tables = list(PolarsRun(relation).read(None))
    expected = filtered(joined(left, right, ("i",), ("j",), how, None, None), col("n") > 7)
    names = ["n", "m", "s", "t"]
    assert len(tables) > 1 and shown(pa.concat_tables(tables).select(names)) == shown(expected.select(names))


@pytest.mark.parametrize("seed", range(4))
def test_sorts_in_parts_are_the_same(seed: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(polars_parts, "PART_BYTES", 1000)
    table = random_table(seed, 400)
    scan = Scan(table.schema, files(table, tmp_path))
    keys, descending = (("f",), (seed % 2 == 0,)) if seed < 2 else (("s", "b"), (True, False))
    found = list(PolarsRun(Sorted(table.schema, scan, keys, descending)).read(None))
    assert len(found) > 3 and shown(pa.concat_tables(found)) == shown(sorted_table(table, keys, descending)), seed
