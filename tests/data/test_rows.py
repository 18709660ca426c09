"""Rows as Python values, into Arrow and back."""

import datetime
import decimal
import math
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from ray_async.data.block.rows import rows_of, table_of_rows


def round_trip(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return list(rows_of(table_of_rows(rows)))


@pytest.mark.parametrize(
    "value",
    [
        1,
        2**70,
        1.5,
        True,
        "text",
        b"bytes",
        None,
        decimal.Decimal("1.10"),
        datetime.date(2024, 2, 29),
        datetime.time(1, 2, 3),
        datetime.datetime(2024, 2, 29, 12, 0, 0, 5),
        datetime.timedelta(days=1),
        [1, 2],
        [[1], []],
        {"x": 1, "y": [None]},
        (1, "a"),
        {1, 2},
        1 + 2j,
    ],
)
def test_values_come_back_as_they_were(value: Any) -> None:
    (row,) = round_trip([{"v": value}])
    assert row == {"v": value} and type(row["v"]) is type(value)


def test_times_keep_their_zone() -> None:
    noon = datetime.datetime(2024, 1, 1, 12, tzinfo=datetime.UTC)
    (row,) = round_trip([{"t": noon}])
    assert row["t"] == noon and row["t"].utcoffset() == datetime.timedelta(0)


def test_numpy_scalars_become_python_values() -> None:
    (row,) = round_trip([{"a": np.int64(3), "b": np.float32(0.5), "c": np.bool_(True)}])
    assert [type(value) for value in row.values()] == [int, float, bool]


@pytest.mark.parametrize("shape", [(3,), (2, 3), (1, 2, 2), (0,), (2, 0)])
def test_arrays_keep_shape_and_type(shape: tuple[int, ...]) -> None:
    arrays = [np.full(shape, index, dtype=np.float32) for index in range(3)]
    for row, array in zip(round_trip([{"v": array} for array in arrays]), arrays, strict=True):
        np.testing.assert_array_equal(row["v"], array)
        assert row["v"].dtype == np.float32 and row["v"].shape == shape


def test_arrays_of_different_shapes_and_numbers_of_dimensions() -> None:
    arrays = [np.zeros(3), np.ones((2, 2)), None, np.array(5.0)]
    found = [row["v"] for row in round_trip([{"v": array} for array in arrays])]
    assert found[2] is None
    for index in (0, 1, 3):
        np.testing.assert_array_equal(found[index], arrays[index])


def test_arrays_survive_selections() -> None:
    table = table_of_rows([{"v": np.full(i + 1, i), "w": np.full((2, 2), i)} for i in range(4)])
    rows = list(rows_of(table.take(pa.array([3, 1])).slice(1)))
    np.testing.assert_array_equal(rows[0]["v"], [1, 1])
    np.testing.assert_array_equal(rows[0]["w"], [[1, 1], [1, 1]])


def test_int_and_float_become_float() -> None:
    assert [row["v"] for row in round_trip([{"v": 1}, {"v": 0.5}])] == [1.0, 0.5]
    assert type(round_trip([{"v": 1}, {"v": 0.5}])[0]["v"]) is float


def test_mixed_kinds_keep_their_types() -> None:
    assert [row["v"] for row in round_trip([{"v": 1}, {"v": "x"}, {"v": None}])] == [1, "x", None]


def test_missing_keys_are_null_and_columns_keep_their_order() -> None:
    assert round_trip([{"a": 1}, {"b": 2}, {"a": 3, "c": 4}]) == [
        {"a": 1, "b": None, "c": None},
        {"a": None, "b": 2, "c": None},
        {"a": 3, "b": None, "c": 4},
    ]


def test_rows_without_columns_are_counted() -> None:
    assert round_trip([{}, {}]) == [{}, {}]


def test_names_of_columns_are_texts() -> None:
    with pytest.raises(TypeError, match="names of columns are texts"):
        table_of_rows([{1: 2}])  # type: ignore[dict-item]


def test_nan_stays_nan_and_null_stays_null() -> None:
    found = [row["v"] for row in round_trip([{"v": math.nan}, {"v": None}, {"v": 1.0}])]
    assert math.isnan(found[0]) and found[1:] == [None, 1.0]
