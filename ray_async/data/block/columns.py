"""Columns: Arrow arrays made of Python or NumPy values, and turned back into them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ray_async.data.block.tensors import (
    PythonObjectType,
    arrays_of,
    is_tensor,
    object_column,
    objects_of,
    ragged_of,
    stacked_array,
    tensor_column,
)

__all__ = ("column_of_array", "column_of_values", "numpy_of", "python_of")

# Values that Arrow would take for something else: it makes lists of them.
_KEPT_WHOLE = (set, frozenset, tuple, complex)


def column_of_values(values: Sequence[Any]) -> pa.Array:
    """An Arrow column of Python values, of the narrowest type that holds them all.

    Values of different kinds (an int and a text) and of types that Arrow lacks become a column of Python objects, in
    which each value keeps its type.

    Args:
        values: what the rows hold; None is null.
    """
    kinds = {type(value) for value in values}
    kinds.discard(type(None))
    if any(issubclass(kind, np.ndarray) for kind in kinds):
        return _column_of_arrays(values, kinds)
    if any(issubclass(kind, _KEPT_WHOLE) for kind in kinds):
        return object_column(values)
    if kinds == {np.datetime64}:
        return _column_of_times(values)
    if any(kind.__module__.partition(".")[0] == "pandas" for kind in kinds):
        return _column_of_pandas(values)
    if any(kind.__module__.partition(".")[0] == "torch" for kind in kinds):
        return column_of_values([value.numpy(force=True) if hasattr(value, "numpy") else value for value in values])
    try:
        return pa.array(values)
    except pa.ArrowCapacityError:  # one value of two gigabytes or more
        return pa.array(values, pa.large_string() if str in kinds else pa.large_binary())
    except (pa.ArrowInvalid, pa.ArrowTypeError, pa.ArrowNotImplementedError, OverflowError):
        return object_column(values)


def column_of_array(array: np.ndarray[Any, Any]) -> pa.Array:
    """An Arrow column of an array's items: without a copy for numbers, tensors for further dimensions.

    Raises:
        ValueError: The array has no dimension.
    """
    if array.ndim == 0:
        raise ValueError("a column needs a value for each row, but got a single one")
    if array.dtype == object:
        return column_of_values(array.tolist() if array.ndim == 1 else list(array))
    if isinstance(array, np.ma.MaskedArray):
        return pa.array(np.ma.getdata(array), mask=np.ma.getmaskarray(array))
    try:
        if array.ndim > 1:
            return tensor_column(array)
        return pa.array(array)
    except (pa.ArrowNotImplementedError, pa.ArrowInvalid, pa.ArrowTypeError):
        return column_of_values(array.tolist())


def _column_of_arrays(values: Sequence[Any], kinds: set[type]) -> pa.Array:
    if any(not issubclass(kind, np.ndarray) for kind in kinds):
        try:
            values = [None if value is None else np.asarray(value) for value in values]
        except ValueError:
            return object_column(values)
    present = [value for value in values if value is not None]
    try:
        if len(present) == len(values) and len({(value.shape, value.dtype) for value in present}) == 1:
            return column_of_array(np.stack(present)) if present[0].ndim else column_of_array(np.array(present))
        return ragged_of(values)
    except (pa.ArrowNotImplementedError, pa.ArrowInvalid, np.exceptions.DTypePromotionError):
        return object_column(values)


def _column_of_times(values: Sequence[Any]) -> pa.Array:
    """Points in time of NumPy's, whose units may differ; Arrow has none that is longer than a second."""
    times = np.array([np.datetime64("NaT") if value is None else value for value in values], np.datetime64)
    unit = np.datetime_data(times.dtype)[0]
    return pa.array(times if unit in ("s", "ms", "us", "ns") else times.astype("datetime64[s]"))


def _column_of_pandas(values: Sequence[Any]) -> pa.Array:
    import pandas as pd

    if any(isinstance(value, (pd.DataFrame, pd.Series)) for value in values):
        return object_column(values)
    try:
        return pa.Array.from_pandas(pd.Series(list(values)))
    except (pa.ArrowInvalid, pa.ArrowTypeError):
        return object_column(values)


def python_of(column: pa.ChunkedArray) -> list[Any]:
    """A column's values as a list of Python objects; tensors are NumPy arrays, null is None."""
    kind = column.type
    if is_tensor(kind):
        return arrays_of(column)
    if isinstance(kind, PythonObjectType):
        return objects_of(column)
    if _has_tensors_inside(kind):
        return column.to_pylist()  # type: ignore[no-any-return]
    if (pa.types.is_integer(kind) or pa.types.is_floating(kind)) and not column.null_count:
        return column.to_numpy().tolist()  # type: ignore[no-any-return]
    return column.to_pylist()  # type: ignore[no-any-return]


def _has_tensors_inside(kind: pa.DataType) -> bool:
    return isinstance(kind, pa.BaseExtensionType)


def numpy_of(column: pa.ChunkedArray) -> np.ndarray[Any, Any]:
    """A column as a NumPy array: a read-only view of numbers without nulls in one chunk, else a copy.

    Integers with nulls become float64 with NaN, bools with nulls and everything else objects; tensors of one shape
    become one array with further dimensions.
    """
    kind = column.type
    if is_tensor(kind):
        stacked = stacked_array(column)
        return stacked if stacked is not None else _object_array(arrays_of(column))
    if isinstance(kind, PythonObjectType):
        return _object_array(objects_of(column))
    if pa.types.is_null(kind):
        return _object_array([None] * len(column))
    if pa.types.is_dictionary(kind):
        return numpy_of(column.cast(kind.value_type))
    if pa.types.is_timestamp(kind) and kind.tz is not None:
        column = pc.cast(column, pa.timestamp(kind.unit))
        kind = column.type
    if (
        pa.types.is_integer(kind)
        or pa.types.is_floating(kind)
        or pa.types.is_timestamp(kind)
        or pa.types.is_duration(kind)
        or (pa.types.is_boolean(kind) and not column.null_count)
    ):
        return column.to_numpy()  # type: ignore[no-any-return]
    if pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_boolean(kind):
        return column.to_numpy()  # type: ignore[no-any-return]
    return _object_array(column.to_pylist())


def _object_array(values: list[Any]) -> np.ndarray[Any, Any]:
    array = np.empty(len(values), dtype=object)
    for index, value in enumerate(values):  # a slice assignment would unpack lists and arrays
        array[index] = value
    return array
