"""Right values of functions of rows and batches: what they see, what they may return, what they raise."""

import datetime
from collections.abc import Callable
from decimal import Decimal
from functools import partial
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

import ray_async as ray
from ray_async.data import RayDataUserCodeException
from tests.data.behaviours import Case, Raises, check, numbers

pytestmark = pytest.mark.usefixtures("session")


def items(*rows: dict[str, Any]) -> Any:
    return ray.data.from_items(list(rows), override_num_blocks=1)


def seen(dataset: Any, look: Callable[[Any], Any], **options: Any) -> Any:
    """What a function finds that looks at a whole batch."""
    found = dataset.map_batches(lambda batch: {"seen": [repr(look(batch))]}, **options).take_all()
    return [row["seen"] for row in found]


def kinds_of(row: dict[str, Any]) -> dict[str, Any]:
    return {name: type(value).__name__ for name, value in row.items()}


def add(frame: pd.DataFrame) -> pd.DataFrame:
    frame["n"] += 1
    frame["m"] = frame["n"] * 2
    return frame


def writable(batch: dict[str, np.ndarray[Any, Any]]) -> Any:
    batch["n"] += 1
    return batch


def changing(row: dict[str, Any]) -> bool:
    row["n"] = 99
    return True


def returning(value: Any) -> Any:
    """What comes of a function of batches that returns the value."""
    return numbers(1, 1).map_batches(lambda batch: value).take_all()


def failing(row: dict[str, Any]) -> Any:
    raise KeyError("mine")


MIXED = {
    "s": "x",
    "i": 1,
    "f": 1.5,
    "b": True,
    "none": None,
    "l": [1, 2],
    "d": {"k": 1},
    "t": datetime.datetime(2020, 1, 2),
    "dec": Decimal("1.50"),
}

CASES: dict[str, Case] = {
    "a batch is a dict of arrays": (
        lambda: seen(numbers(2, 1), lambda b: (type(b), list(b))),
        ["(<class 'dict'>, ['id'])"],
    ),
    "default of take_batch": (lambda: numbers(2, 1).take_batch(2), {"id": np.array([0, 1])}),
    "default of iter_batches": (lambda: list(numbers(2, 1).iter_batches()), [{"id": np.array([0, 1])}]),
    "map_groups sees frames": (
        lambda: numbers(2, 1).groupby("id").map_groups(lambda g: {"k": [type(g).__name__]}).take_all(),
        [{"k": "DataFrame"}] * 2,
    ),
    "add_column sees frames": (
        lambda: numbers(1, 1).add_column("k", lambda b: [type(b).__name__]).take_all(),
        [{"id": 0, "k": "DataFrame"}],
    ),
    "a frame is changed in place": (
        lambda: items({"n": 1}, {"n": 2}).map_batches(add, batch_format="pandas").take_all(),
        [{"n": 2, "m": 4}, {"n": 3, "m": 6}],
    ),
    "also with zero_copy_batch": (
        lambda: items({"n": 1}).map_batches(add, batch_format="pandas", zero_copy_batch=True).take_all(),
        [{"n": 2, "m": 4}],
    ),
    "texts of frames": (
        lambda: (
            items({"s": "a"}, {"s": None})
            .map_batches(lambda f: f.assign(s=f["s"].str.upper()), batch_format="pandas")
            .take_all()
        ),
        [{"s": "A"}, {"s": None}],
    ),
    "copies may be changed": (
        lambda: items({"n": 1}).map_batches(writable, zero_copy_batch=False).take_all(),
        [{"n": 2}],
    ),
    "copies may be changed whatever the values": (
        lambda: seen(
            items({"n": 1, "s": "x"}, {"n": None, "s": None}),
            lambda b: [v.flags.writeable for v in b.values()],
            zero_copy_batch=False,
        ),
        ["[True, True]"],
    ),
    "dtypes of arrays": (
        lambda: seen(items(MIXED), lambda b: [str(v.dtype) for v in b.values()]),
        ["['object', 'int64', 'float64', 'bool', 'object', 'object', 'object', 'datetime64[us]', 'object']"],
    ),
    "ints with null are floats": (
        lambda: seen(items({"n": 1}, {"n": None}), lambda b: (str(b["n"].dtype), b["n"].tolist())),
        ["('float64', [1.0, nan])"],
    ),
    "bools with null are objects": (
        lambda: seen(items({"n": True}, {"n": None}), lambda b: (str(b["n"].dtype), b["n"].tolist())),
        ["('object', [True, None])"],
    ),
    "rows have Python's types": (
        lambda: items(MIXED).map(kinds_of).take_all(),
        [
            {
                "s": "str",
                "i": "int",
                "f": "float",
                "b": "bool",
                "none": "NoneType",
                "l": "list",
                "d": "dict",
                "t": "datetime",
                "dec": "Decimal",
            }
        ],
    ),
    "also behind a stage of frames": (
        lambda: (
            items({"i": 1, "f": 0.5, "s": "x"}).map_batches(lambda f: f, batch_format="pandas").map(kinds_of).take_all()
        ),
        [{"i": "int", "f": "float", "s": "str"}],
    ),
    "also behind a stage of arrays": (
        lambda: items({"i": 1, "f": 0.5, "s": "x"}).map_batches(lambda b: b).map(kinds_of).take_all(),
        [{"i": "int", "f": "float", "s": "str"}],
    ),
    "tensors are arrays in rows": (
        lambda: ray.data.from_numpy(np.zeros((2, 3))).map(kinds_of).take_all(),
        [{"data": "ndarray"}] * 2,
    ),
    "map may change its row": (
        lambda: items({"n": 1}).map(lambda row: (row.update(m=2), row)[1]).take_all(),
        [{"n": 1, "m": 2}],
    ),
    "filter changes no row": (lambda: items({"n": 1}).filter(changing).take_all(), [{"n": 1}]),
    "filter by None": (lambda: numbers().filter(lambda row: None).take_all(), []),
    "filter by a bool of NumPy": (lambda: numbers(2).filter(lambda row: np.bool_(row["id"])).take_all(), [{"id": 1}]),
    "filter by a text": (lambda: numbers(1, 1).filter(lambda row: "x").take_all(), [{"id": 0}]),
    "map to a number": (lambda: numbers().map(lambda row: 5).take_all(), Raises(ValueError, "dict")),
    "map to a list": (lambda: numbers().map(lambda row: [1]).take_all(), Raises(ValueError, "dict")),
    "map to None": (lambda: numbers().map(lambda row: None).take_all(), Raises(ValueError, "dict")),
    "flat_map to a dict": (
        lambda: numbers().flat_map(lambda row: {"a": 1}).take_all(),
        Raises(ValueError, "list of dicts"),
    ),
    "keys that differ": (
        lambda: numbers(2, 1).map(lambda row: {"a": 1} if row["id"] else {"b": 2}).take_all(),
        [{"b": 2, "a": None}, {"b": None, "a": 1}],
    ),
    "int then float": (
        lambda: numbers(2, 1).map(lambda row: {"a": 1.5 if row["id"] else 1}).take_all(),
        [{"a": 1.0}, {"a": 1.5}],
    ),
    "text then int": (
        lambda: numbers(2, 1).map(lambda row: {"a": 1 if row["id"] else "x"}).take_all(),
        [{"a": "x"}, {"a": 1}],
    ),
    "an error is the user's": (lambda: numbers().map(failing).take_all(), Raises(KeyError, "mine")),
    "and the library's": (lambda: numbers().map(failing).take_all(), Raises(RayDataUserCodeException, "mine")),
    "and a failed task's": (lambda: numbers().map(failing).take_all(), Raises(ray.exceptions.RayTaskError, "mine")),
    "drop_columns of none": (lambda: numbers().drop_columns(["zz"]), Raises(KeyError, "zz")),
    "select_columns of none": (lambda: numbers().select_columns(["zz"]), Raises(KeyError, "zz")),
    "rename_columns of none": (lambda: numbers().rename_columns({"zz": "y"}), Raises(KeyError, "zz")),
    # Batches: sizes
    "a size above a block's": (lambda: seen(numbers(12, 4), lambda b: len(b["id"]), batch_size=100), ["12"]),
    "whole blocks": (lambda: seen(numbers(12, 4), lambda b: len(b["id"]), batch_size=None), ["3"] * 4),
    "no size": (lambda: seen(numbers(12, 4), lambda b: len(b["id"])), ["3"] * 4),
    "default as a size": (lambda: seen(numbers(4, 2), lambda b: len(b["id"]), batch_size="default"), ["2", "2"]),
    "a size of zero": (lambda: numbers().map_batches(lambda b: b, batch_size=0), Raises(ValueError)),
    "a broken size": (lambda: numbers().map_batches(lambda b: b, batch_size=2.5), Raises(TypeError)),
    "empty blocks are not seen": (
        lambda: numbers(4, 2).filter(lambda row: row["id"] > 1).map_batches(lambda b: {"n": [len(b["id"])]}).take_all(),
        [{"n": 2}],
    ),
    # Batches: what comes back
    "more rows": (lambda: numbers(2, 1).map_batches(lambda b: {"id": np.repeat(b["id"], 2)}).count(), 4),
    "no row by a list": (lambda: numbers(2, 1).map_batches(lambda b: {"id": []}).take_all(), []),
    "no column": (lambda: numbers(2, 1).map_batches(lambda b: {}).take_all(), []),
    "columns of other lengths": (
        lambda: numbers(2, 1).map_batches(lambda b: {"a": [1], "b": [1, 2]}).take_all(),
        Raises(ValueError, "same length"),
    ),
    "values as lists": (lambda: numbers(1, 1).map_batches(lambda b: {"a": ["x"]}).take_all(), [{"a": "x"}]),
    "values as tuples": (lambda: numbers(1, 1).map_batches(lambda b: {"a": ("x",)}).take_all(), [{"a": "x"}]),
    "values as a series": (lambda: numbers(1, 1).map_batches(lambda b: {"a": pd.Series([7])}).take_all(), [{"a": 7}]),
    "a table": (lambda: numbers(1, 1).map_batches(lambda b: pa.table({"a": [7]})).take_all(), [{"a": 7}]),
    "a frame": (lambda: numbers(1, 1).map_batches(lambda b: pd.DataFrame({"a": [7]})).take_all(), [{"a": 7}]),
    "an empty generator": (lambda: numbers().map_batches(lambda b: iter(())).take_all(), []),
    "types that differ across blocks": (
        lambda: numbers(2, 2).map_batches(lambda b: {"a": [1.5 if b["id"][0] else 1]}).take_all(),
        [{"a": 1.0}, {"a": 1.5}],
    ),
    "a column of one block": (
        lambda: numbers(2, 2).map_batches(lambda b: {"b": [1]} if b["id"][0] else {"a": [1], "b": [2]}).take_all(),
        [{"a": 1, "b": 2}, {"a": None, "b": 1}],
    ),
    "null in the first block": (
        lambda: numbers(2, 2).map_batches(lambda b: {"a": [1 if b["id"][0] else None]}).take_all(),
        [{"a": None}, {"a": 1}],
    ),
    **{
        f"a batch may not be {name}": (
            partial(returning, value),
            Raises(ValueError),
        )
        for name, value in {
            "a number": 5,
            "None": None,
            "a list": [1],
            "an array": np.array([1]),
            "a series": pd.Series([1]),
            "a dict of numbers": {"a": 1},
        }.items()
    },
    "constructor arguments of a function": (
        lambda: numbers().map_batches(lambda b: b, fn_constructor_args=(1,)),
        Raises(ValueError),
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_functions(name: str) -> None:
    check(CASES[name])


def test_a_source_is_as_it_was_after_its_frames_were_changed() -> None:
    ready = items({"n": 1}).materialize()
    assert ready.map_batches(add, batch_format="pandas").take_all() == [{"n": 2, "m": 4}]
    assert ready.take_all() == [{"n": 1}]


def test_an_error_of_a_constructor_is_the_users() -> None:
    class Broken:
        def __init__(self) -> None:
            raise LookupError("no model here")

        def __call__(self, batch: Any) -> Any:
            return batch

    with pytest.raises(LookupError, match="no model here"):
        numbers().map_batches(Broken, concurrency=1).take_all()
