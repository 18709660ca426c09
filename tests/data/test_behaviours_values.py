"""Right values of relational methods and types: nulls, NaN, orders, sums, unions, what comes back as what."""

import datetime
from decimal import Decimal
from functools import partial
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

import ray_async as ray
from ray_async.data.aggregate import Count, Quantile
from tests.data.behaviours import Case, Raises, check, numbers

pytestmark = pytest.mark.usefixtures("session")
NAN = float("nan")
ZONED = datetime.datetime(2020, 1, 2, 3, tzinfo=datetime.UTC)


def column(*values: Any, blocks: int | None = None) -> Any:
    """A dataset of one column `a`."""
    return ray.data.from_items([{"a": value} for value in values], override_num_blocks=blocks)


def values(dataset: Any, name: str = "a") -> list[Any]:
    return [row[name] for row in dataset.take_all()]


def back(value: Any) -> Any:
    """A value that went through a dataset."""
    return column(value).take_all()[0]["a"]


def filtered(expr: str) -> list[Any]:
    return values(column(*FLOATS).filter(expr=expr))


def all_of(dataset: Any, on: str = "a", **options: Any) -> list[Any]:
    return [getattr(dataset, name)(on, **options) for name in ("sum", "mean", "min", "max", "std")]


def groups(keys: list[Any], **options: Any) -> Any:
    return ray.data.from_items([{"k": key, "v": number} for number, key in enumerate(keys)], **options).groupby("k")


FLOATS = (3.0, None, 1.0, NAN, 2.0)

CASES: dict[str, Case] = {
    # Sorts
    "nulls last, NaN before": (lambda: values(column(*FLOATS).sort("a")), [1.0, 2.0, 3.0, NAN, None]),
    "also descending": (lambda: values(column(*FLOATS).sort("a", descending=True)), [3.0, 2.0, 1.0, NAN, None]),
    "also over blocks": (
        lambda: values(column(*FLOATS, blocks=4).sort("a", descending=True)),
        [3.0, 2.0, 1.0, NAN, None],
    ),
    "ints": (lambda: values(column(3, None, 1).sort("a", descending=True)), [3, 1, None]),
    "texts": (lambda: values(column("b", None, "a", blocks=3).sort("a")), ["a", "b", None]),
    "ties stay": (
        lambda: numbers(6, 3).map(lambda r: {**r, "k": r["id"] % 2}).sort("k", descending=True).take_all(),
        [{"id": n, "k": n % 2} for n in (1, 3, 5, 0, 2, 4)],
    ),
    "a direction for each key": (
        lambda: (
            numbers(4, 2).map(lambda r: {**r, "k": r["id"] % 2}).sort(["k", "id"], descending=[False, True]).take_all()
        ),
        [{"id": n, "k": n % 2} for n in (2, 0, 3, 1)],
    ),
    "sort by none": (lambda: numbers().sort("zz").take_all(), Raises(ValueError, "zz")),
    "sort by a callable": (lambda: numbers().sort(lambda row: 1), Raises(ValueError)),
    "sort without a key": (lambda: numbers().sort(), Raises(TypeError)),
    "sort of mixed types": (lambda: column(1, "x").sort("a").take_all(), Raises(TypeError, "a")),
    # Groups
    "null and NaN are keys": (
        lambda: groups([None, NAN, 1.0, None, NAN]).count().take_all(),
        [{"k": 1.0, "count()": 1}, {"k": NAN, "count()": 2}, {"k": None, "count()": 2}],
    ),
    "groups are sorted": (
        lambda: values(groups(["q", "a", None, "z", "m", "b"]).count(), "k"),
        ["a", "b", "m", "q", "z", None],
    ),
    "all values null": (
        lambda: (
            ray.data.from_arrow(pa.table({"k": [1, 1], "v": pa.array([None, None], pa.int64())}))
            .groupby("k")
            .sum("v")
            .take_all()
        ),
        [{"k": 1, "sum(v)": None}],
    ),
    "names of columns": (
        lambda: [list(getattr(groups([1]), name)("v").take_all()[0]) for name in ("sum", "mean", "max")],
        [["k", "sum(v)"], ["k", "mean(v)"], ["k", "max(v)"]],
    ),
    "sum of every column": (
        lambda: ray.data.from_items([{"k": 1, "v": 2, "w": 3}]).groupby("k").sum().take_all(),
        [{"k": 1, "sum(v)": 2, "sum(w)": 3}],
    ),
    "groups of all": (lambda: numbers(5).groupby(None).count().take_all(), [{"count()": 5}]),
    "groups of none": (lambda: numbers().groupby("zz"), Raises(ValueError, "zz")),
    "deviation of one row": (lambda: groups([1]).std("v").take_all(), [{"k": 1, "std(v)": NAN}]),
    # Aggregations
    "of nulls": (lambda: [round(v, 4) for v in all_of(column(3, None, 1, 4))], [8, 2.6667, 1, 4, 1.5275]),
    "nulls not ignored": (lambda: all_of(column(3, None, 1, 4), ignore_nulls=False), [None] * 5),
    "NaN is passed over": (
        lambda: [round(v, 4) for v in all_of(column(3.0, NAN, 1.0, 4.0))],
        [8.0, 2.6667, 1.0, 4.0, 1.5275],
    ),
    "of nulls alone": (
        lambda: all_of(ray.data.from_arrow(pa.table({"a": pa.array([None, None], pa.int64())}))),
        [None] * 5,
    ),
    "of no rows": (lambda: all_of(column(1).filter(lambda row: False)), [None] * 5),
    "of an unknown column": (lambda: numbers().sum("zz"), Raises(ValueError, "zz")),
    "of each column": (lambda: ray.data.from_items([{"a": 3, "i": 1}]).sum(), {"sum(a)": 3, "sum(i)": 1}),
    "of some columns": (lambda: ray.data.from_items([{"a": 3, "i": 1}]).sum(["a", "i"]), {"sum(a)": 3, "sum(i)": 1}),
    "of one column": (lambda: ray.data.from_items([{"a": 3, "i": 1}]).sum("a"), 3),
    "past 32 bits": (
        lambda: ray.data.from_arrow(pa.table({"a": pa.array([2**31 - 1, 1], pa.int32())})).sum("a"),
        2**31,
    ),
    "past 64 bits": (lambda: column(2**63 - 1, 1).sum("a"), Raises(OverflowError)),
    "of bools": (lambda: column(True, False, True).sum("a"), 2),
    "of decimals": (
        lambda: (column(Decimal("1.10"), Decimal("2.20")).sum("a"), column(Decimal("1.10"), Decimal("2.20")).mean("a")),
        (Decimal("3.30"), Decimal("1.65")),
    ),
    "maximum of texts and times": (
        lambda: (column("a", "b").max("a"), column(datetime.datetime(2020, 1, 2)).max("a")),
        ("b", datetime.datetime(2020, 1, 2)),
    ),
    "sum of texts": (lambda: column("a").sum("a"), Raises(TypeError)),
    "count": (lambda: column(1, None, 3).aggregate(Count("a")), {"count(a)": 3}),
    "count without nulls": (lambda: column(1, None, 3).aggregate(Count(on="a", ignore_nulls=True)), {"count(a)": 2}),
    "quantile": (lambda: column(1, 2, 3, 4).aggregate(Quantile("a", q=0.5, alias_name="q")), {"q": 2.5}),
    # Unique
    "unique with null": (lambda: column(2, 1, None, 2).unique("a"), [2, 1, None]),
    "unique with NaN": (lambda: column(2.0, NAN, 1.0, NAN).unique("a"), [2.0, NAN, 1.0]),
    "unique without nulls": (lambda: column(2, 1, None, 2).unique("a", ignore_nulls=True), [2, 1]),
    "unique lists": (lambda: column([1], [2], [1]).unique("a"), [[1], [2]]),
    # Joins, zips, unions
    "join": (
        lambda: (
            column(1, 2, 3)
            .join(ray.data.from_items([{"a": 2, "b": "x"}]), "inner", on=("a",), num_partitions=2)
            .take_all()
        ),
        [{"a": 2, "b": "x"}],
    ),
    "zip of other lengths": (lambda: numbers(3).zip(numbers(5)).take_all(), Raises(ValueError, "3.*5")),
    "zip of other blocks": (
        lambda: numbers(3, 3).zip(numbers(3, 1)).zip(numbers(3, 2)).take_all(),
        [{"id": n, "id_1": n, "id_2": n} for n in range(3)],
    ),
    "union of int and float": (lambda: values(column(1, 2).union(column(0.5))), [1.0, 2.0, 0.5]),
    "its schema": (lambda: [str(t) for t in column(1, 2).union(column(0.5)).schema().types], ["double"]),
    "its sum": (lambda: column(1, 2).union(column(0.5)).sum("a"), 3.5),
    "union of int and text": (lambda: values(column(1).union(column("x"))), [1, "x"]),
    "union of other columns": (
        lambda: column(1).union(ray.data.from_items([{"b": 2}])).take_all(),
        [{"a": 1, "b": None}, {"a": None, "b": 2}],
    ),
    "order of a union": (lambda: values(numbers(4, 2).union(numbers(3, 3)), "id"), [0, 1, 2, 3, 0, 1, 2]),
    # Objects in memory
    "int and text": (lambda: values(column(1, "x")), [1, "x"]),
    "in several blocks": (lambda: values(column(1, "x", blocks=2)), [1, "x"]),
    "int and float": (lambda: values(column(1, 0.5)), [1.0, 0.5]),
    "in two blocks": (lambda: values(column(1, 0.5, blocks=2)), [1.0, 0.5]),
    "missing keys": (
        lambda: ray.data.from_items([{"a": 1}, {"b": 2}]).take_all(),
        [{"a": 1, "b": None}, {"a": None, "b": 2}],
    ),
    "items that are no dicts": (lambda: ray.data.from_items([1, 2]).take_all(), [{"item": 1}, {"item": 2}]),
    **{
        f"{name} comes back": (partial(back, value), value)
        for name, value in {
            "a dict": {"k": {"l": [1, None]}},
            "a list": [[1], [2, 3], []],
            "an array": np.array([1.0, 2.0]),
            "a matrix": np.zeros((2, 3), np.float32),
            "a time": datetime.datetime(2020, 1, 2, 3),
            "a date": datetime.date(2020, 1, 2),
            "a time of day": datetime.time(1, 2),
            "a duration": datetime.timedelta(seconds=3),
            "a decimal": Decimal("1.5"),
            "bytes": b"x",
            "a bool": True,
            "None": None,
            "a large number": 2**70,
            "a tuple": (1, 2),
            "a complex number": 1j,
            "a set": {1, 2},
        }.items()
    },
    "a time with a zone": (
        lambda: (lambda time: (time.utcoffset(), time == ZONED))(back(ZONED)),
        (datetime.timedelta(0), True),
    ),
    "times of NumPy of other units": (
        lambda: values(column(np.datetime64("2020-01-02T03:04"), None, np.datetime64(5, "ms"))),
        [datetime.datetime(2020, 1, 2, 3, 4), None, datetime.datetime(1970, 1, 1, microsecond=5000)],
    ),
    "a time of NumPy": (lambda: back(np.datetime64("2020-01-02")), datetime.datetime(2020, 1, 2)),
    "a time with nanoseconds": (
        lambda: back(pd.Timestamp(2020, 1, 2, nanosecond=5)),
        pd.Timestamp(2020, 1, 2, nanosecond=5),
    ),
    "a float of 32 bits": (lambda: back(np.float32(0.5)), 0.5),
    "ragged arrays": (lambda: values(column(np.array([1]), np.array([1, 2]))), [np.array([1]), np.array([1, 2])]),
    "arrays of other dimensions": (
        lambda: values(column(np.zeros(2), np.zeros((1, 2)))),
        [np.zeros(2), np.zeros((1, 2))],
    ),
    "an index is dropped": (lambda: ray.data.from_pandas(pd.DataFrame({"a": [1]}, index=["x"])).take_all(), [{"a": 1}]),
    "categories are their values": (
        lambda: ray.data.from_pandas(pd.DataFrame({"a": pd.Categorical(["x"])})).take_all(),
        [{"a": "x"}],
    ),
    # What takes
    "take": (lambda: len(numbers(30).take()), 20),
    "take_all beyond its limit": (lambda: numbers(100).take_all(limit=5), Raises(ValueError)),
    "to_pandas beyond its limit": (lambda: numbers(30).to_pandas(limit=5), Raises(ValueError)),
    "take_batch of none": (lambda: ray.data.from_items([]).take_batch(), Raises(ValueError, "empty")),
    "none": (
        lambda: (lambda ds: (ds.schema(), ds.columns(), ds.count(), ds.sort("a").take_all()))(ray.data.from_items([])),
        (None, None, 0, []),
    ),
    "len": (lambda: len(numbers()), Raises(AttributeError, "count")),
    "iter": (lambda: iter(numbers()), Raises(TypeError)),
    "num_blocks": (lambda: numbers().map(lambda row: row).num_blocks(), Raises(NotImplementedError)),
    # Expressions
    **{
        f"filter by {expr}": (partial(filtered, expr), wanted)
        for expr, wanted in {
            "a > 1": [3.0, 2.0],
            "a != 3": [1.0, NAN, 2.0],
            "a in [1.0, 2.0]": [1.0, 2.0],
            "a is None": [None],
            "a > 1 and a < 3": [2.0],
        }.items()
    },
    "filter by an unknown column": (lambda: numbers().filter(expr="zz > 5"), Raises(KeyError, "zz")),
    "filter by nonsense": (lambda: numbers().filter(expr="id >"), Raises(ValueError)),
    "filter by both": (lambda: numbers().filter(lambda row: True, expr="id > 1"), Raises(ValueError)),
    "filter by nothing": (lambda: numbers().filter(), Raises(ValueError)),
    "a row's null": (lambda: column(1, None).filter(lambda row: row["a"] > 5).take_all(), Raises(TypeError)),
}


@pytest.mark.parametrize("name", CASES)
def test_values(name: str) -> None:
    check(CASES[name])
