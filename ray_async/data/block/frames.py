"""Frames: pandas DataFrames of Arrow tables and back.

Numbers, bools and times without nulls are NumPy columns that may be changed in place; with nulls they keep their Arrow
type. Texts are Python objects: iterating over them is ten times as fast as over pandas' Arrow texts, and null is None.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from ray_async.data.block.columns import column_of_array, column_of_values, numpy_of, python_of
from ray_async.data.block.tensors import PythonObjectType, is_tensor

if TYPE_CHECKING:
    import pandas as pd

__all__ = ("KnownTexts", "frame_of", "series_of", "table_of_frame")


def frame_of(table: pa.Table) -> pd.DataFrame:
    """A DataFrame that shares no memory with the table which a caller could change."""
    import pandas as pd

    columns = {i: series_of(column) for i, column in enumerate(table.columns)}
    frame = pd.DataFrame(columns, index=pd.RangeIndex(table.num_rows), copy=False)
    frame.columns = pd.Index(table.column_names, dtype=object if not table.column_names else None)
    return frame


def series_of(column: pa.ChunkedArray) -> Any:
    """A column as what pandas makes a Series of."""
    import pandas as pd

    kind = column.type
    if is_tensor(kind) or isinstance(kind, PythonObjectType) or pa.types.is_null(kind):
        return pd.Series(_objects(python_of(column)), dtype=object)
    if pa.types.is_dictionary(kind):
        return series_of(column.cast(kind.value_type))
    if pa.types.is_string(kind) or pa.types.is_large_string(kind):
        return pd.Series(column.to_numpy(), dtype=object)
    if pa.types.is_date(kind) or pa.types.is_time(kind) or pa.types.is_binary(kind) or pa.types.is_large_binary(kind):
        return pd.Series(column.to_pylist(), dtype=object)
    if pa.types.is_timestamp(kind) and kind.tz is not None:
        return column.to_pandas()
    if pa.types.is_timestamp(kind) or pa.types.is_duration(kind):
        return pd.Series(_writable(numpy_of(column)))
    plain = pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_boolean(kind)
    if plain and not column.null_count:
        return pd.Series(_writable(numpy_of(column)))
    return pd.Series(pd.arrays.ArrowExtensionArray(column))


def _writable(array: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    return array if array.flags.writeable else array.copy()


def _objects(values: list[Any]) -> np.ndarray[Any, Any]:
    array = np.empty(len(values), dtype=object)
    for index, value in enumerate(values):
        array[index] = value
    return array


class KnownTexts:
    """Columns of texts that frames were made of: one that comes back as it was need not be converted again.

    A column is the same when it holds the same objects. Texts cannot be changed, and a copy of the column keeps these
    objects alive, so their addresses tell.
    """

    def __init__(self) -> None:
        self._columns: list[tuple[np.ndarray[Any, Any], pa.ChunkedArray]] = []

    def remember(self, frame: pd.DataFrame, table: pa.Table) -> None:
        """Note the texts of a frame that was made of a table; those of earlier ones are forgotten."""
        self._columns = [
            (frame.iloc[:, index].to_numpy().copy(), table.column(index))
            for index, kind in enumerate(table.schema.types)
            if pa.types.is_string(kind)
        ]

    def column_of(self, values: np.ndarray[Any, Any]) -> pa.ChunkedArray | None:
        """The Arrow column that an array of objects was made of, if it is still the same."""
        for known, column in self._columns:
            if len(known) == len(values) and _same_objects(known, values):
                return column
        return None


def _same_objects(one: np.ndarray[Any, Any], other: np.ndarray[Any, Any]) -> bool:
    if not (one.flags.c_contiguous and other.flags.c_contiguous):
        return False
    return bool(np.array_equal(_addresses(one), _addresses(other)))


def _addresses(array: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """The addresses of an array's objects: its memory, read as numbers while the array is alive."""
    interface = {**array.__array_interface__, "typestr": np.dtype(np.intp).str, "descr": [("", np.dtype(np.intp).str)]}
    return np.asarray(_Memory(interface, array))


class _Memory:
    """An array interface, and what owns its memory."""

    def __init__(self, interface: dict[str, Any], owner: np.ndarray[Any, Any]) -> None:
        self.__array_interface__ = interface
        self.owner = owner


def table_of_frame(frame: pd.DataFrame, texts: KnownTexts | None = None) -> pa.Table:
    """A table of a DataFrame's columns, without its index. NaN of floats stays NaN; missing objects are null.

    Args:
        frame: the frame.
        texts: texts that are known in Arrow's form.

    Raises:
        ValueError: Two columns have the same name.
    """
    names = [str(name) for name in frame.columns]
    if len(set(names)) < len(names):
        twice = sorted({name for name in names if names.count(name) > 1})
        raise ValueError(f"a DataFrame's columns need names of their own, but there are two of {', '.join(twice)}")
    columns = [_column(frame.iloc[:, index], texts) for index in range(len(names))]
    if not names:
        return pa.table({"_": pa.nulls(len(frame))}).select([])
    return pa.Table.from_arrays(columns, names=names)


def _column(series: Any, texts: KnownTexts | None = None) -> pa.Array | pa.ChunkedArray:
    dtype = series.dtype
    if type(dtype).__name__ == "CategoricalDtype":
        return _column(series.astype(dtype.categories.dtype))
    if isinstance(dtype, np.dtype):
        values = series.to_numpy()
        if dtype.kind != "O":
            return column_of_array(values)
        known = texts.column_of(values) if texts is not None else None
        return known if known is not None else _column_of_objects(values)
    found = pa.Array.from_pandas(series)
    if pa.types.is_large_string(found.type):
        return found.cast(pa.string())
    return found


def _column_of_objects(values: np.ndarray[Any, Any]) -> pa.Array:
    try:
        found = pa.Array.from_pandas(values)
    except (pa.ArrowInvalid, pa.ArrowTypeError, pa.ArrowNotImplementedError, OverflowError):
        return column_of_values([None if value is not value else value for value in values.tolist()])
    if pa.types.is_nested(found.type) or pa.types.is_null(found.type):  # tuples, sets, arrays: as of any other list
        return column_of_values(values.tolist())
    return found
