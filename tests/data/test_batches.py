"""Batches in all formats, and blocks made of what functions return."""

import math
import sys
import types
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

from ray_async.data.block.batches import batch_of, resized, sized_batches, table_of_batch
from ray_async.data.block.frames import KnownTexts, frame_of, table_of_frame
from ray_async.data.block.rows import table_of_rows


def test_numpy_types() -> None:
    table = pa.table(
        {"i": [1, 2], "f": [0.5, None], "s": ["a", None], "n": [1, None], "b": [True, None], "z": [None] * 2}
    )
    batch = batch_of(table, "numpy")
    assert {name: array.dtype.str for name, array in batch.items()} == {
        "i": "<i8",
        "f": "<f8",
        "s": "|O",
        "n": "<f8",
        "b": "|O",
        "z": "|O",
    }
    assert batch["s"].tolist() == ["a", None] and math.isnan(batch["n"][1]) and batch["b"].tolist() == [True, None]


def test_numpy_views_are_read_only_and_copies_are_not() -> None:
    table = pa.table({"i": np.arange(3)})
    with pytest.raises(ValueError, match="read-only"):
        batch_of(table, "numpy")["i"][0] = 1
    batch_of(table, "numpy", writable=True)["i"][0] = 9
    assert table["i"].to_pylist() == [0, 1, 2]


def test_frames_may_be_changed_and_the_table_stays() -> None:
    table = pa.table({"n": [1, 2, 3], "t": ["a", None, "c"], "m": [1, None, 3]})
    frame = frame_of(table)
    frame["n"] += 1
    frame.loc[0, "n"] = 7
    frame.loc[2, "t"] = "z"
    frame["u"] = frame["t"].str.upper()
    frame["m"] += 1
    assert table_of_frame(frame).to_pydict() == {
        "n": [7, 3, 4],
        "t": ["a", None, "z"],
        "m": [2, None, 4],
        "u": ["A", None, "Z"],
    }
    assert table.to_pydict() == {"n": [1, 2, 3], "t": ["a", None, "c"], "m": [1, None, 3]}


def test_frames_keep_types() -> None:
    table = table_of_rows([{"l": [1, 2], "s": {"x": 1}, "a": np.ones((2, 2)), "d": None, "t": "x"}] * 2)
    assert table_of_frame(frame_of(table)).schema == table.schema


def test_texts_that_come_back_unchanged_are_not_converted_again() -> None:
    table = pa.table({"t": [f"text {i}" for i in range(100)], "n": range(100)})
    texts = KnownTexts()
    frame = frame_of(table)
    texts.remember(frame, table)
    frame["u"] = frame["t"]
    assert (
        table_of_frame(frame.copy(), texts)["t"].chunk(0).buffers()[2].address
        == table["t"].chunk(0).buffers()[2].address
    )
    frame.loc[5, "t"] = "other"
    found = table_of_frame(frame, texts)
    assert found["t"][5].as_py() == "other" and found["u"].to_pylist() == table["t"].to_pylist()
    assert table_of_frame(frame[frame["n"] > 97], texts)["t"].to_pylist() == ["text 98", "text 99"]


def test_categories_become_their_values() -> None:
    frame = pd.DataFrame({"c": pd.Categorical(["x", "y", "x"])}, index=[5, 6, 7])
    assert table_of_frame(frame).to_pydict() == {"c": ["x", "y", "x"]}


@pytest.mark.parametrize(
    "batch",
    [
        {"a": [1, 2]},
        {"a": (1, 2)},
        {"a": np.array([1, 2])},
        {"a": pd.Series([1, 2])},
        {"a": pl.Series([1, 2])},
        {"a": pa.array([1, 2])},
        pd.DataFrame({"a": [1, 2]}),
        pl.DataFrame({"a": [1, 2]}),
        pa.table({"a": [1, 2]}),
        pa.record_batch({"a": [1, 2]}),
    ],
)
def test_what_a_batch_function_may_return(batch: Any) -> None:
    assert table_of_batch(batch).to_pydict() == {"a": [1, 2]}


@pytest.mark.parametrize(
    ("batch", "words"),
    [
        (5, "returned 5"),
        ([1], r"returned \[1\]"),
        (None, "returned None"),
        (np.zeros(2), "returned array"),
        (pd.Series([1]), "must return a dict"),
        ({"a": 3}, "column 'a'.*is 3"),
        ({"a": np.array(3)}, "column 'a'"),
        ({"a": [1], "b": [1, 2]}, "All arrays must be of the same length"),
        ({1: [2]}, "names of columns are texts"),
    ],
)
def test_what_it_may_not_return(batch: Any, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        table_of_batch(batch)


def test_resizing_puts_tables_together_and_cuts_them() -> None:
    tables = [pa.table({"a": range(start, start + 3)}) for start in (0, 3, 6)]
    sizes = [table.num_rows for table in resized(tables, 7)]
    assert sizes == [7, 2]
    assert [table.num_rows for table in resized(tables, 4, drop_last=True)] == [4, 4]
    assert [table.num_rows for table in resized([*tables, tables[0].slice(0, 0)], None)] == [3, 3, 3]
    assert [v for table in resized(tables, 2) for v in table["a"].to_pylist()] == list(range(9))


class FakeArray:
    """What a CuPy array shows of itself."""

    def __init__(self, values: np.ndarray[Any, Any]) -> None:
        self.values = values

    def get(self) -> np.ndarray[Any, Any]:
        return self.values

    def __array__(self) -> None:
        raise TypeError("implicit conversion to a NumPy array is not allowed")


def test_columns_on_a_gpu_come_and_go(monkeypatch: pytest.MonkeyPatch) -> None:
    devices = [1]
    FakeArray.__module__ = "cupy"
    runtime = types.SimpleNamespace(getDeviceCount=lambda: devices[0])
    fake = types.SimpleNamespace(asarray=FakeArray, cuda=types.SimpleNamespace(runtime=runtime))
    monkeypatch.setitem(sys.modules, "cupy", fake)
    batch = batch_of(pa.table({"x": [1.5, 2.5], "t": ["a", "b"]}), "cupy")
    assert isinstance(batch["x"], FakeArray) and batch["t"].tolist() == ["a", "b"]
    assert table_of_batch(batch).to_pylist() == [{"x": 1.5, "t": "a"}, {"x": 2.5, "t": "b"}]
    devices[0] = 0
    with pytest.raises(RuntimeError, match="num_gpus=1"):
        batch_of(pa.table({"x": [1]}), "cupy")
    monkeypatch.setitem(sys.modules, "cupy", None)
    with pytest.raises(ImportError, match="needs CuPy where the function runs"):
        batch_of(pa.table({"x": [1]}), "cupy")


@pytest.mark.parametrize("rows", [1, 3, 4, 7, 100, None])
@pytest.mark.parametrize("drop_last", [False, True])
@pytest.mark.parametrize("batch_format", ["numpy", "pyarrow"])
def test_batches_of_a_stream_have_its_rows_in_order(rows: int | None, drop_last: bool, batch_format: str) -> None:
    plain = [pa.table({"a": list(range(start, stop))}) for start, stop in ((0, 5), (5, 5), (5, 6), (6, 20), (20, 23))]
    nulls = pa.table({"a": pa.chunked_array([[23, None], [25]])})
    tables = [table.slice(0) for table in (*plain[:4], nulls, plain[4])]
    batches = list(sized_batches(tables, rows, batch_format, drop_last=drop_last))
    if batch_format == "numpy":
        found = [[None if value != value else value for value in batch["a"].tolist()] for batch in batches]
    else:
        found = [batch.column("a").to_pylist() for batch in batches]
    assert found == [table.column("a").to_pylist() for table in resized(tables, rows, drop_last=drop_last)]
    if batch_format == "numpy" and rows is not None and rows <= 5:
        assert np.shares_memory(batches[0]["a"], plain[0].column("a").to_numpy()), "a view"
        assert not batches[0]["a"].flags.writeable
