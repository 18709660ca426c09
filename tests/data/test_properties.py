"""Relational operators on random tables give the rows that Polars gives: with nulls, NaN, duplicates, all types, and
blocks so small that every way of exchanging rows is taken."""

import datetime
import math
import random
from collections import Counter
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import polars as pl
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import ray_async as ray
from ray_async.data.aggregate import Count, CountDistinct, Max, Mean, Min, Std, Sum
from ray_async.data.engine.joining import JOIN_TYPES
from ray_async.data.expressions import col
from tests.data.sizes import full

# Polars starts threads with its first work, once for the process; they are no test's leak.
pl.LazyFrame({"a": [2, 1]}).sort("a").collect().to_arrow()

NAN = math.nan
UTC = datetime.UTC
#: For each kind of column its type and the values that it is filled with, null apart.
KINDS: dict[str, tuple[pa.DataType, list[Any]]] = {
    "i8": (pa.int8(), [-128, 0, 1, 127]),
    "i32": (pa.int32(), [-7, 0, 3]),
    "i64": (pa.int64(), [-(2**62), -1, 0, 5, 2**53 + 1]),
    "u64": (pa.uint64(), [0, 1, 2**63]),
    "f32": (pa.float32(), [NAN, -0.0, 0.0, 0.5, -2.0, math.inf]),
    "f64": (pa.float64(), [NAN, -0.0, 0.0, 0.25, -4.0, 2.0**53, -math.inf]),
    "b": (pa.bool_(), [True, False]),
    "s": (pa.string(), ["", "a", "é", "e\u0301", "zz"]),
    "ls": (pa.large_string(), ["x", "y"]),
    "y": (pa.binary(), [b"", b"\x00", b"ab"]),
    "d": (pa.date32(), [datetime.date(1969, 12, 31), datetime.date(2024, 2, 29)]),
    "t": (pa.timestamp("us"), [datetime.datetime(1960, 1, 1), datetime.datetime(2024, 1, 1, 1, 2, 3, 4)]),
    "tz": (
        pa.timestamp("us", "UTC"),
        [datetime.datetime(2024, 1, 1, tzinfo=UTC), datetime.datetime(2025, 1, 1, tzinfo=UTC)],
    ),
    "du": (pa.duration("us"), [datetime.timedelta(0), datetime.timedelta(days=-1)]),
    "dec": (pa.decimal128(6, 2), [Decimal("-1.50"), Decimal("0.00"), Decimal("1234.56")]),
}
KEYS = tuple(KINDS)
NUMBERS = ("i8", "i32", "f32", "f64")

checked = settings(
    max_examples=full(12, 300),
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


def tables(names: tuple[str, ...] = KEYS) -> st.SearchStrategy[pa.Table]:
    """Tables with a column of each kind, and the rows' numbers."""

    def make(seed: int, rows: int) -> pa.Table:
        chance = random.Random(seed)
        columns = {
            name: pa.array(chance.choices([None, *values], k=rows), kind)
            for name, (kind, values) in KINDS.items()
            if name in names
        }
        return pa.table({**columns, "row": pa.array(range(rows), pa.int64())})

    return st.builds(make, st.integers(0, 2**32), st.integers(0, 30))


@pytest.fixture(autouse=True, params=[1 << 30, 64], ids=["whole", "parts"])
def call_bytes(request: pytest.FixtureRequest) -> Iterator[None]:
    """Operators do all in one call, and then hardly anything."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("ray_async.data.executor.execution.MAX_CALL_BYTES", request.param)
        yield


def dataset_of(table: pa.Table, blocks: int) -> Any:
    dataset = ray.data.from_arrow(table, override_num_blocks=blocks)
    dataset.context.target_max_block_size = 128
    return dataset


def frame_of(table: pa.Table) -> pl.DataFrame:
    found = pl.from_arrow(table)
    assert isinstance(found, pl.DataFrame)
    return found


def shown(value: Any) -> Any:
    """A value such that equal ones are equal, and NaN is NaN."""
    if isinstance(value, float):
        return "nan" if value != value else value + 0.0
    return value


def rows_of(table: pa.Table) -> list[tuple[Any, ...]]:
    return [tuple(shown(value) for value in row.values()) for row in table.to_pylist()]


def found_rows(dataset: Any) -> list[tuple[Any, ...]]:
    return rows_of(dataset.to_arrow())


def ordering(keys: list[str], descending: list[bool]) -> tuple[list[pl.Expr], list[bool]]:
    """Keys for Polars such that NaN comes behind all numbers in both directions."""
    by: list[pl.Expr] = []
    down: list[bool] = []
    for key, reverse in zip(keys, descending, strict=True):
        if key in ("f32", "f64"):
            by.append(pl.col(key).is_nan())
            down.append(False)
        by.append(pl.col(key))
        down.append(reverse)
    return by, down


blocks = st.integers(1, 6)


@checked
@given(tables(), blocks, st.lists(st.sampled_from(KEYS), min_size=1, max_size=3, unique=True), st.data())
def test_sort(table: pa.Table, count: int, keys: list[str], data: st.DataObject) -> None:
    descending = data.draw(st.lists(st.booleans(), min_size=len(keys), max_size=len(keys)))
    by, down = ordering(keys, descending)
    expected = frame_of(table).sort(by, descending=down, nulls_last=True, maintain_order=True)
    found = dataset_of(table, count).sort(keys, descending=descending)
    assert [row[-1] for row in found_rows(found)] == expected["row"].to_list()


@checked
@given(tables(), blocks, st.lists(st.sampled_from(KEYS), min_size=1, max_size=2, unique=True))
def test_groups(table: pa.Table, count: int, keys: list[str]) -> None:
    found = (
        dataset_of(table, count)
        .groupby(keys)
        .aggregate(
            Count(),
            Count("i32", ignore_nulls=True, alias_name="there"),
            Sum("i32", alias_name="sum"),
            Sum("f64", alias_name="fsum"),
            Mean("i8", alias_name="mean"),
            Min("s", alias_name="min"),
            Max("t", alias_name="max"),
            Max("f32", alias_name="fmax"),
            Std("i32", alias_name="std"),
            CountDistinct("d", alias_name="distinct"),
        )
    )
    floats = {name: pl.col(name).fill_nan(None) for name in ("f32", "f64")}
    several = pl.col("i32").count() > 0
    expected = (
        frame_of(table)
        .group_by(keys)
        .agg(
            pl.len().alias("count()"),
            pl.col("i32").count().alias("there"),
            pl.when(several).then(pl.col("i32").cast(pl.Int64).sum()).alias("sum"),
            pl.when(floats["f64"].count() > 0).then(floats["f64"].sum()).alias("fsum"),
            pl.col("i8").mean().alias("mean"),
            pl.col("s").min().alias("min"),
            pl.col("t").max().alias("max"),
            floats["f32"].max().alias("fmax"),
            pl.when(pl.col("i32").count() == 1).then(NAN).otherwise(pl.col("i32").std()).alias("std"),
            pl.col("d").drop_nulls().n_unique().alias("distinct"),
        )
    )
    assert Counter(rounded(found.to_arrow())) == Counter(rounded(expected.to_arrow()))


def rounded(table: pa.Table) -> list[tuple[Any, ...]]:
    def near(value: Any) -> Any:
        # To twelve digits: sums depend on the order in which they are made.
        return round(float(f"{value:.12g}"), 9) if isinstance(value, float) and math.isfinite(value) else value

    return [tuple(near(value) for value in row) for row in rows_of(table)]


JOINS: dict[str, Any] = {
    "inner": "inner",
    "left_outer": "left",
    "right_outer": "right",
    "full_outer": "full",
    "left_semi": "semi",
    "left_anti": "anti",
}
SIDE = ("i32", "f64", "s", "dec", "tz")


@checked
@given(
    tables(SIDE), tables(SIDE), blocks, st.lists(st.sampled_from(SIDE), min_size=1, max_size=2, unique=True), st.data()
)
def test_join(left: pa.Table, right: pa.Table, count: int, keys: list[str], data: st.DataObject) -> None:
    how = data.draw(st.sampled_from(JOIN_TYPES))
    left = left.select([*keys, "row"]).rename_columns([*keys, "l"])
    right = right.select([*keys, "row"]).rename_columns([*keys, "r"])
    found = dataset_of(left, count).join(dataset_of(right, 2), how, on=tuple(keys)).to_arrow()
    one, other = frame_of(left), frame_of(right)
    if how in ("right_semi", "right_anti"):
        one, other, how = other, one, how.replace("right", "left")
    expected = one.join(other, on=keys, how=JOINS[how], coalesce=True).to_arrow()
    assert set(found.column_names) == set(expected.column_names)
    assert Counter(rows_of(found.select(expected.column_names))) == Counter(rows_of(expected))


PREDICATES = {
    "i32 > 0": (col("i32") > 0, pl.col("i32") > 0),
    "i64 <= 5 and b": ((col("i64") <= 5) & col("b"), (pl.col("i64") <= 5) & pl.col("b")),
    "s != 'a' or f64 < 1": (
        (col("s") != "a") | (col("f64") < 1),
        (pl.col("s") != "a") | ((pl.col("f64") < 1) & ~pl.col("f64").is_nan()),
    ),
    "not i8 in (0, 1)": (~col("i8").is_in([0, 1]), ~pl.col("i8").is_in([0, 1])),
    "dec is null": (col("dec").is_null(), pl.col("dec").is_null()),
    "length": (col("s").str.len() > 1, pl.col("s").str.len_chars() > 1),
}


@checked
@given(tables(), blocks, st.sampled_from(sorted(PREDICATES)), st.integers(0, 30))
def test_filter_and_limit(table: pa.Table, count: int, which: str, rows: int) -> None:
    ours, theirs = PREDICATES[which]
    dataset, frame = dataset_of(table, count), frame_of(table)
    expected = frame.filter(theirs)
    assert found_rows(dataset.filter(ours)) == rows_of(expected.to_arrow())
    assert found_rows(dataset.filter(ours).limit(rows)) == rows_of(expected.head(rows).to_arrow())
    after = frame.head(rows).filter(theirs).to_arrow()
    assert found_rows(dataset.limit(rows).filter(ours)) == rows_of(after)


@checked
@given(tables(), blocks)
def test_computed_columns(table: pa.Table, count: int) -> None:
    found = dataset_of(table, count).with_columns(
        {
            "a": col("i32") * 2 + 1,
            "q": col("i32") // 2,
            "m": col("i32") % 3,
            "u": col("s").str.upper(),
            "n": col("b") & True,
        }
    )
    expected = frame_of(table).with_columns(
        (pl.col("i32").cast(pl.Int64) * 2 + 1).alias("a"),
        (pl.col("i32") // 2).alias("q"),
        (pl.col("i32") % 3).alias("m"),
        pl.col("s").str.to_uppercase().alias("u"),
        (pl.col("b") & True).alias("n"),
    )
    names = ["a", "q", "m", "u", "n", "row"]
    assert rows_of(found.to_arrow().select(names)) == rows_of(expected.select(names).to_arrow())


@checked
@given(tables(), blocks, st.sampled_from(KEYS))
def test_unique_values(table: pa.Table, count: int, name: str) -> None:
    found = [shown(value) for value in dataset_of(table, count).unique(name)]
    expected = frame_of(table)[name].unique(maintain_order=True).to_arrow()
    assert found == [shown(value) for value in expected.to_pylist()]


@checked
@given(tables(), tables(("i32", "s", "f64")), blocks)
def test_union_and_zip(table: pa.Table, other: pa.Table, count: int) -> None:
    both = dataset_of(table, count).union(dataset_of(other, 2))
    expected = pl.concat([frame_of(table), frame_of(other)], how="diagonal")
    assert found_rows(both) == rows_of(expected.select(both.columns()).to_arrow())
    rows = min(table.num_rows, other.num_rows)
    sides = [dataset_of(side.slice(0, rows), blocks) for side, blocks in ((table, count), (other, 3))]
    side_by_side = [
        one + two for one, two in zip(rows_of(table.slice(0, rows)), rows_of(other.slice(0, rows)), strict=True)
    ]
    assert found_rows(sides[0].zip(sides[1])) == side_by_side
