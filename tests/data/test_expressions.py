"""Expressions: values, nulls, texts of filters."""

import datetime
import math
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from ray_async.data.block.columns import column_of_array
from ray_async.data.datatype import DataType
from ray_async.data.expressions import Expr, col, lit
from ray_async.data.expressions.evaluation import evaluated, filtered, type_of
from ray_async.data.expressions.parsing import parsed

TABLE = pa.table(
    {
        "i": [7, -7, None, 0],
        "f": [1.5, math.nan, None, -2.5],
        "s": ["Hello World", "é", None, " a b "],
        "l": [[1, 2], [], None, [5]],
        "d": [{"x": 1, "y": "a"}, {"x": None, "y": "b"}, None, {"x": 3, "y": "c"}],
        "t": [datetime.datetime(2024, 2, 29, 13, 45, 30), None, datetime.datetime(1969, 12, 31), None],
        "b": [True, False, None, True],
        "n": [[3, None, 1], [], None, [None]],
        "ll": [[[1], [2, 3]], [], None, [None, [4]]],
        "m": pa.array([[("a", 1), ("b", None)], [], None, [("c", 3)]], pa.map_(pa.string(), pa.int64())),
        "fixed": pa.array([[1, 2], None, [3, 4], [5, 6]], pa.list_(pa.int64(), 2)),
    }
)


@pytest.mark.parametrize(
    ("expr", "expected"),
    [
        (col("i") + 1, [8, -6, None, 1]),
        (10 - col("i"), [3, 17, None, 10]),
        (col("i") / 2, [3.5, -3.5, None, 0.0]),
        (col("i") // 2, [3, -4, None, 0]),
        (col("i") % 3, [1, 2, None, 0]),
        (-7 // (col("i") + 0), [-1, 1, None, None]),
        (7 % col("i"), [0, 0, None, None]),
        (-col("i"), [-7, 7, None, 0]),
        (col("i").abs(), [7, 7, None, 0]),
        (col("i").sign(), [1, -1, None, 0]),
        (col("i").power(2), [49, 49, None, 0]),
        (col("f").ceil().fill_null(0).cast("string"), ["2", "nan", "0", "-2"]),
        (col("f").round(), [2.0, math.nan, None, -2.0]),
        (col("f").trunc(), [1.0, math.nan, None, -2.0]),
        (col("i") > 0, [True, False, None, False]),
        (col("f") != 1.5, [False, True, None, True]),
        ((col("i") > 0) & col("b"), [True, False, None, False]),
        ((col("i") > 0) | col("b"), [True, False, None, True]),
        (~col("b"), [False, True, None, False]),
        (col("i").is_null(), [False, False, True, False]),
        (col("i").is_not_null(), [True, True, False, True]),
        (col("f").is_nan(), [False, True, None, False]),
        (col("i").is_in([7, 0]), [True, False, None, True]),
        (col("i").not_in([7]), [False, True, None, True]),
        (col("s") + "!", ["Hello World!", "é!", None, " a b !"]),
        (col("s").str.len(), [11, 1, None, 5]),
        (col("s").str.byte_len(), [11, 2, None, 5]),
        (col("s").str.upper(), ["HELLO WORLD", "É", None, " A B "]),
        (col("s").str.strip(), ["Hello World", "é", None, "a b"]),
        (col("s").str.strip("Hd"), ["ello Worl", "é", None, " a b "]),
        (col("s").str.contains("o"), [True, False, None, False]),
        (col("s").str.starts_with("Hel"), [True, False, None, False]),
        (col("s").str.match_regex("^.$"), [False, True, None, False]),
        (col("s").str.replace("o", "0"), ["Hell0 W0rld", "é", None, " a b "]),
        (col("s").str.replace("o", "0", max_replacements=1), ["Hell0 World", "é", None, " a b "]),
        (col("s").str.match("H%d"), [True, False, None, False]),
        (col("s").str.starts_with("hel", ignore_case=True), [True, False, None, False]),
        (col("s").str.lpad(6, "*").str.rpad(7, "-"), ["Hello World", "*****é-", None, "* a b -"]),
        (col("s").str.is_ascii(), [True, False, None, True]),
        (col("s").str.is_lower(), [False, True, None, True]),
        (col("s").str.slice(0, 2), ["He", "é", None, " a"]),
        (col("s").str.split(" "), [["Hello", "World"], ["é"], None, ["", "a", "b", ""]]),
        (col("s").str.pad(6, "*", "left").str.slice(0, 3), ["Hel", "***", None, "* a"]),
        (col("l").list.len(), [2, 0, None, 1]),
        (col("l").list.get(0), [1, None, None, 5]),
        (col("l").list[-1], [2, None, None, 5]),
        (col("l").list[0:1], [[1], [], None, [5]]),
        (col("d").struct.field("x"), [1, None, None, 3]),
        (col("d").struct["y"], ["a", "b", None, "c"]),
        (col("t").dt.year(), [2024, None, 1969, None]),
        (col("t").dt.strftime("%Y-%m"), ["2024-02", None, "1969-12", None]),
        (col("t").dt.floor("hour").dt.minute(), [0, None, 0, None]),
        (col("t").dt.ceil("minute", 15).dt.strftime("%H:%M:%S"), ["14:00:00.000000", None, "00:00:00.000000", None]),
        (col("s").str.split(" ", max_splits=1, reverse=True), [["Hello", "World"], ["é"], None, [" a b", ""]]),
        (col("s").str.split_regex("[lo]+").list.len(), [4, 1, None, 1]),
        (col("s").str.split_whitespace(), [["Hello", "World"], ["é"], None, ["", "a", "b", ""]]),
        (col("s").str.find_regex("[W]"), [6, -1, None, -1]),
        (col("s").str.count_regex("[lo]"), [5, 0, None, 0]),
        (col("s").str.extract("(?P<first>[A-Z])").struct["first"], ["H", None, None, None]),
        (col("s").str.replace_slice(0, 1, "_"), ["_ello World", "_", None, "_a b "]),
        (col("l").list.sort("descending"), [[2, 1], [], None, [5]]),
        (col("n").list.sort(), [[1, 3, None], [], None, [None]]),
        (col("n").list.sort("descending", "at_start"), [[None, 3, 1], [], None, [None]]),
        (col("ll").list.flatten(), [[1, 2, 3], [], None, [4]]),
        (col("d").struct[0], [1, None, None, 3]),
        (col("m").map.keys(), [["a", "b"], [], None, ["c"]]),
        (col("m").map.values(), [[1, None], [], None, [3]]),
        (col("fixed").arr.to_list(), [[1, 2], None, [3, 4], [5, 6]]),
        (col("l").cast(DataType.list(DataType.float64())).list.get(0), [1.0, None, None, 5.0]),
    ],
    ids=repr,
)
def test_values(expr: Expr, expected: list[Any]) -> None:
    assert str(evaluated(expr, TABLE).to_pylist()) == str(expected)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("i > 0", [7]),
        ("i != 7", [-7, 0]),
        ("not (i > 0)", [-7, 0]),
        ("i is None", [None]),
        ("i is not None and i < 0", [-7]),
        ("i in [7, 0]", [7, 0]),
        ("i not in (7, 0)", [-7]),
        ("-8 < i < 1", [-7, 0]),
        ("s == 'é' or i == 7", [7, -7]),
        ("i * 2 + 1 == 15", [7]),
        ("b", [7, 0]),
        ("None", []),
    ],
)
def test_texts_of_filters(text: str, expected: list[Any]) -> None:
    assert filtered(TABLE, parsed(text))["i"].to_pylist() == expected


@pytest.mark.parametrize("text", ["i >", "i is 3", "f(i) > 1", "i in s", "[1]", ""])
def test_texts_that_are_no_filter(text: str) -> None:
    with pytest.raises(ValueError):
        parsed(text)


def test_tensors_become_lists() -> None:
    table = pa.table({"x": column_of_array(np.arange(8).reshape(2, 2, 2))})
    assert evaluated(col("x").arr.to_list(), table).to_pylist() == [[[0, 1], [2, 3]], [[4, 5], [6, 7]]]
    assert type_of(col("x").arr.to_list(), table.schema) == pa.list_(pa.list_(pa.int64()))


def test_slices_of_tables_have_their_own_lists() -> None:
    part = TABLE.slice(1, 3)
    assert evaluated(col("m").map.keys(), part).to_pylist() == [[], None, ["c"]]
    assert evaluated(col("ll").list.flatten(), part).to_pylist() == [[], None, [4]]
    assert evaluated(col("n").list.sort(), TABLE.slice(0, 1)).to_pylist() == [[1, 3, None]]


def test_misuse() -> None:
    with pytest.raises(ValueError, match="order"):
        col("l").list.sort("up")
    with pytest.raises(ValueError, match="null_placement"):
        col("l").list.sort(null_placement="first")
    with pytest.raises(TypeError, match="a map is needed"):
        evaluated(col("l").map.keys(), TABLE)
    with pytest.raises(TypeError, match="a list is needed"):
        evaluated(col("i").list.sort(), TABLE)
    with pytest.raises(TypeError, match="no truth value"):
        assert col("a") > 1 and col("b") > 2
    with pytest.raises(TypeError, match="name of a column"):
        col(3)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="true or false"):
        filtered(TABLE, col("i") + 1)
    with pytest.raises(TypeError, match="cannot be computed"):
        evaluated(col("s") > col("i"), TABLE)
    with pytest.raises(KeyError, match="'zz'"):
        evaluated(col("zz"), TABLE)


def test_structure() -> None:
    expr = (col("a") + lit(1)).alias("x")
    assert expr.name == "x" and expr.columns() == {"a"} and col("a").name == "a" and lit(1).name is None
    assert expr.structurally_equals((col("a") + 1).alias("x")) and not expr.structurally_equals(col("a"))
    assert str(((col("a") > 1) & col("b").is_null()).to_pyarrow()) == "((a > 1) and is_null(b, {nan_is_null=false}))"
    with pytest.raises(NotImplementedError):
        col("a").str.len().to_pyarrow()
