"""Polars' frames and series: every type, equal, and as views."""

from __future__ import annotations

import datetime
import subprocess
import sys
from typing import Any

import polars as pl
import pytest

from ray_async._core import store
from ray_async._core.arena import Arena

COUNT = 20_000
DAY = datetime.datetime(2020, 1, 1)
COLUMNS: dict[str, pl.Series] = {
    "int": pl.Series([1, 2, None]),
    "uint8": pl.Series([1, 2, None], dtype=pl.UInt8),
    "float": pl.Series([1.5, None, float("inf")]),
    "string": pl.Series(["a", "a string too long to be inline", None]),
    "binary": pl.Series([b"x", b"", None]),
    "bool": pl.Series([True, False, None]),
    "null": pl.Series([None, None, None]),
    "date": pl.Series([DAY.date(), None, None]),
    "time": pl.Series([datetime.time(1, 2, 3)] * 3),
    "duration": pl.Series([datetime.timedelta(1)] * 3),
    "datetime": pl.Series([DAY] * 3, dtype=pl.Datetime("ms")),
    "zone": pl.Series([DAY] * 3).dt.replace_time_zone("Europe/Berlin"),
    "decimal": pl.Series(["1.23", "4.5", None]).cast(pl.Decimal(10, 2)),
    "int128": pl.Series([1, 2, 2**100], dtype=pl.Int128),
    "categories": pl.Series(["x", "y", "x"], dtype=pl.Categorical),
    "named categories": pl.Series(["x", "y", "x"], dtype=pl.Categorical(pl.Categories("mine"))),
    "enum": pl.Series(["p", "q", None], dtype=pl.Enum(["p", "q", "unused"])),
    "empty enum": pl.Series([], dtype=pl.Enum([])),
    "list": pl.Series([[1], [2, 3], None]),
    "list of enums": pl.Series([["p"], ["q", "p"], None], dtype=pl.List(pl.Enum(["p", "q"]))),
    "array": pl.Series([[1, 2], [3, 4], None], dtype=pl.Array(pl.Int64, 2)),
    "struct": pl.Series([{"a": 1, "b": "x"}, {"a": 2, "b": None}, None]),
    "struct of categories": pl.Series([{"c": "x"}, {"c": "y"}, None], dtype=pl.Struct({"c": pl.Categorical})),
    "empty struct": pl.Series([{}, {}]),
    "": pl.Series([1]),
}


def put(arena: Arena, value: Any) -> tuple[Any, int, int]:
    """The value as it comes back, the bytes that it takes in the store, and how many views of them there are."""
    ref = store.put(arena, value)
    found = store.get_one(arena, ref)
    facts = store.describe(arena, ref)
    return found, facts["size"], facts["views"]


@pytest.mark.parametrize("name", COLUMNS)
def test_every_type(arena: Arena, name: str) -> None:
    series = COLUMNS[name].rename(name)
    found = put(arena, series)[0]
    assert type(found) is pl.Series
    assert found.name == name
    assert found.dtype == series.dtype
    assert found.equals(series, check_names=True, null_equal=True)
    frame = put(arena, series.to_frame())[0]
    assert frame.schema == series.to_frame().schema
    assert frame.equals(series.to_frame())


def large() -> pl.DataFrame:
    return pl.DataFrame({"n": range(COUNT), "s": [f"a string too long to be inline {n}" for n in range(COUNT)]})


def test_frames_are_views(arena: Arena) -> None:
    frame = large()
    room = 8 * COUNT + (16 + 36) * COUNT + 5000
    for value in (frame, frame.lazy()):
        found, size, views = put(arena, value)
        assert type(found) is type(value)
        assert found.lazy().collect().equals(frame)
        assert size < room
        assert views > 0
    found, size, views = put(arena, frame["n"])
    assert found.equals(frame["n"])
    assert size < 8 * COUNT + 1500
    assert views > 0


def test_slices_are_cut(arena: Arena) -> None:
    part = large()[5000:5010]
    found, size, _ = put(arena, part)
    assert found.equals(part)
    assert size < 4000


def test_empty_frames(arena: Arena) -> None:
    for frame in (pl.DataFrame(), large().head(0)):
        found = put(arena, frame)[0]
        assert found.schema == frame.schema
        assert found.equals(frame)


def test_queries_stay_queries(arena: Arena) -> None:
    frame = large()
    query = frame.lazy().filter(pl.col("n") > 100).select("n")
    found = put(arena, query)[0]
    assert type(found) is pl.LazyFrame
    assert found.collect().equals(query.collect())


def test_what_is_known_of_the_order_is_kept(arena: Arena) -> None:
    frame = pl.DataFrame({"up": [1, 2], "down": [2, 1], "any": [1, 3]})
    frame = frame.with_columns(frame["up"].set_sorted(), frame["down"].set_sorted(descending=True))
    found = put(arena, frame)[0]
    assert found.flags == frame.flags


@pytest.mark.parametrize("wrap", [lambda frame: frame, lambda frame: frame["o"], lambda frame: [frame.lazy()]])
def test_columns_of_objects_are_refused_by_name(arena: Arena, wrap: Any) -> None:
    frame = pl.DataFrame({"n": [1], "o": pl.Series([object()], dtype=pl.Object)})
    with pytest.raises(TypeError, match="column 'o' of a polars frame holds Python objects"):
        store.put(arena, wrap(frame))


def test_polars_is_not_imported_for_other_values() -> None:
    program = (
        "import sys; from ray_async.serialization.reducers import reduce_value as reduce\n"
        "assert all(reduce(value, type(value)) is NotImplemented for value in (1j, {1}, object()))\n"
        "print({'polars', 'numpy', 'pyarrow', 'torch', 'cloudpickle'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.stdout.strip() == "set()", done.stderr
