"""Column types for arrays: one shape for all rows (Arrow's own type), a shape for each row, and any Python object."""

from __future__ import annotations

import pickle
from collections.abc import Sequence
from math import prod
from typing import Any

import numpy as np
import pyarrow as pa

__all__ = (
    "PythonObjectType",
    "RaggedTensorType",
    "arrays_of",
    "is_tensor",
    "object_column",
    "objects_of",
    "ragged_of",
    "stacked_array",
    "tensor_column",
)


class RaggedTensorType(pa.ExtensionType):  # type: ignore[misc]
    """Arrays of one element type, each with a shape of its own: the flat values, and the shape.

    Args:
        value_type: the Arrow type of the elements.
    """

    def __init__(self, value_type: pa.DataType) -> None:
        self.value_type = value_type
        storage = pa.struct([("data", pa.large_list(value_type)), ("shape", pa.list_(pa.int64()))])
        super().__init__(storage, "ray_async.ragged_tensor")

    def __arrow_ext_serialize__(self) -> bytes:
        return b""

    @classmethod
    def __arrow_ext_deserialize__(cls, storage_type: pa.DataType, serialized: bytes) -> RaggedTensorType:
        return cls(storage_type.field("data").type.value_type)


class PythonObjectType(pa.ExtensionType):  # type: ignore[misc]
    """Python objects that have no Arrow type, pickled. Values that come from files are never unpickled."""

    def __init__(self) -> None:
        super().__init__(pa.large_binary(), "ray_async.python_object")

    def __arrow_ext_serialize__(self) -> bytes:
        return b""

    @classmethod
    def __arrow_ext_deserialize__(cls, storage_type: pa.DataType, serialized: bytes) -> PythonObjectType:
        return cls()


def _register() -> None:
    for example in (RaggedTensorType(pa.int64()), PythonObjectType()):
        try:
            pa.register_extension_type(example)
        except pa.ArrowKeyError:  # the module was imported anew; the earlier class does the same
            pa.unregister_extension_type(example.extension_name)
            pa.register_extension_type(example)


_register()


def is_tensor(kind: pa.DataType) -> bool:
    """Whether a column's values are NumPy arrays."""
    return isinstance(kind, (pa.FixedShapeTensorType, RaggedTensorType))


def tensor_column(array: np.ndarray[Any, Any]) -> pa.Array:
    """A column whose rows are the items of an array of two or more dimensions.

    Raises:
        pa.ArrowNotImplementedError: Arrow has no type for the elements.
    """
    shape = array.shape[1:]
    value_type = pa.from_numpy_dtype(array.dtype)
    flat = pa.array(np.ascontiguousarray(array).reshape(-1), type=value_type)
    if 0 in shape:
        return ragged_of(list(array))
    kind = pa.fixed_shape_tensor(value_type, shape)
    return pa.ExtensionArray.from_storage(kind, pa.FixedSizeListArray.from_arrays(flat, prod(shape)))


def ragged_of(arrays: Sequence[np.ndarray[Any, Any] | None]) -> pa.Array:
    """A column of arrays whose shapes differ; None is null. Elements get the type that holds all of them."""
    present = [array for array in arrays if array is not None]
    dtype = np.result_type(*{array.dtype for array in present})
    value_type = pa.from_numpy_dtype(dtype)
    flat = [array.astype(dtype, copy=False).reshape(-1) for array in present]
    offsets = np.zeros(len(arrays) + 1, dtype=np.int64)
    np.cumsum([0 if array is None else array.size for array in arrays], out=offsets[1:])
    values = pa.array(np.concatenate(flat) if flat else np.empty(0, dtype), type=value_type)
    data = pa.LargeListArray.from_arrays(pa.array(offsets), values)
    shapes = pa.array([None if array is None else list(array.shape) for array in arrays], type=pa.list_(pa.int64()))
    mask = pa.array([array is None for array in arrays])
    storage = pa.StructArray.from_arrays([data, shapes], ["data", "shape"], mask=mask)
    return pa.ExtensionArray.from_storage(RaggedTensorType(value_type), storage)


def arrays_of(column: pa.ChunkedArray) -> list[np.ndarray[Any, Any] | None]:
    """The rows of a tensor column: views where Arrow allows them; null is None."""
    found: list[np.ndarray[Any, Any] | None] = []
    for chunk in column.chunks:
        found += _fixed(chunk) if isinstance(chunk.type, pa.FixedShapeTensorType) else _ragged(chunk)
    return found


def stacked_array(column: pa.ChunkedArray) -> np.ndarray[Any, Any] | None:
    """One array over all rows of a column of fixed shape, a view if the column has one chunk; None with nulls."""
    if not isinstance(column.type, pa.FixedShapeTensorType) or column.null_count:
        return None
    parts = [_stack(chunk) for chunk in column.chunks]
    if len(parts) == 1:
        return parts[0]
    if not parts:
        return np.empty((0, *column.type.shape), dtype=column.type.value_type.to_pandas_dtype())
    return np.concatenate(parts)


def _stack(chunk: pa.Array) -> np.ndarray[Any, Any]:
    flat = chunk.storage.flatten().to_numpy(zero_copy_only=False)
    return flat.reshape((len(chunk), *chunk.type.shape))  # type: ignore[no-any-return]


def _fixed(chunk: pa.Array) -> list[np.ndarray[Any, Any] | None]:
    if not chunk.null_count:
        return list(_stack(chunk))
    items = chunk.storage
    shape = chunk.type.shape
    return [
        item.values.to_numpy(zero_copy_only=False).reshape(shape) if item.is_valid else None
        for item in (items[i] for i in range(len(items)))
    ]


def _ragged(chunk: pa.Array) -> list[np.ndarray[Any, Any] | None]:
    data, shapes = chunk.storage.field("data"), chunk.storage.field("shape").to_pylist()
    offsets = data.offsets.to_numpy()
    values = data.values.to_numpy(zero_copy_only=False)
    valid = chunk.storage.is_valid().to_pylist()
    return [values[offsets[i] : offsets[i + 1]].reshape(shapes[i]) if valid[i] else None for i in range(len(valid))]


def object_column(values: Sequence[Any]) -> pa.Array:
    """A column of any Python objects; None is null.

    Raises:
        TypeError: A value cannot be pickled.
    """
    import cloudpickle

    pickles = [None if value is None else cloudpickle.dumps(value) for value in values]
    return pa.ExtensionArray.from_storage(PythonObjectType(), pa.array(pickles, type=pa.large_binary()))


def objects_of(column: pa.ChunkedArray) -> list[Any]:
    """The rows of a column of Python objects.

    The bytes were pickled by this session's own functions: sources never make such a column (`sources.checked`).
    """
    return [
        None if pickled is None else pickle.loads(pickled)
        for chunk in column.chunks
        for pickled in chunk.storage.to_pylist()
    ]
