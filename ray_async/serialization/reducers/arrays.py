"""NumPy arrays of every kind, as the memory that they span and its form.

NumPy keeps contiguous arrays of plain numbers out of band by itself; dates, subclasses and strided views it copies
into the pickle. Here all but objects and strings of variable length are views when they come back. What a subclass says
about its own pickling is honoured.
"""

from __future__ import annotations

from pickle import PickleBuffer
from typing import Any

import numpy as np

__all__ = ("rebuild_ndarray", "reduce_ndarray")

# Kinds of items whose arrays export a buffer, and those whose dtype is known by its short name.
_NUMBERS = frozenset("biufc")
_NAMED = frozenset("mMSU")
_OWN_WAYS = ("__reduce__", "__reduce_ex__", "__setstate__", "__getstate__")


class _Bytes:
    """The bytes between the first and the last item of an array, whatever is between them."""

    def __init__(self, array: Any, address: int, size: int) -> None:
        self.array = array  # whose memory it is
        self.__array_interface__ = {"data": (address, True), "shape": (size,), "typestr": "|u1", "version": 3}


def reduce_ndarray(array: Any) -> Any:
    """The memory of an array and its form; NotImplemented for items that are objects, and for subclasses' own ways."""
    dtype, kind = array.dtype, type(array)
    if dtype.hasobject or dtype.kind == "T" or not dtype.itemsize:
        return NotImplemented
    attributes = None
    if kind is not np.ndarray:
        if any(getattr(kind, name) is not getattr(np.ndarray, name) for name in _OWN_WAYS):
            return NotImplemented
        # A memory map's attributes are about its file, which need not exist where the array arrives.
        attributes = None if issubclass(kind, np.memmap) else getattr(array, "__dict__", None) or None
        array = array.view(np.ndarray)
    named = dtype.metadata is None and (dtype.isbuiltin == 1 or dtype.kind in _NAMED)
    name = dtype.str if named else dtype
    if array.flags.c_contiguous:
        buffer = array if named and dtype.kind in _NUMBERS else array.reshape(-1).view(np.uint8)
        form: tuple[Any, ...] = (PickleBuffer(buffer), name, array.shape)
    else:
        memory, strides, offset = _span(array)
        form = (PickleBuffer(memory), name, array.shape, strides, offset)
    return (rebuild_ndarray, form) if kind is np.ndarray else (rebuild_subarray, (kind, attributes, *form))


def _span(array: Any) -> tuple[Any, tuple[int, ...], int]:
    """The bytes that an array spans, its strides over them, and where its first item is in them.

    An array that spans more than it has is copied first, without the axes along which it repeats itself.
    """
    strides = array.strides
    steps = [(length - 1) * stride for length, stride in zip(array.shape, strides, strict=True)]
    before = -sum(step for step in steps if step < 0)
    size = before + sum(step for step in steps if step > 0) + array.itemsize
    if size > array.nbytes:
        repeated = [stride == 0 for stride in strides]
        array = array[tuple(slice(0, 1) if again else slice(None) for again in repeated)].copy()
        strides = tuple(0 if again else stride for again, stride in zip(repeated, array.strides, strict=True))
        before, size = 0, array.nbytes
    address = array.__array_interface__["data"][0] - before
    return np.asarray(_Bytes(array, address, size)), strides, before


def rebuild_ndarray(
    buffer: Any, dtype: Any, shape: tuple[int, ...], strides: tuple[int, ...] | None = None, offset: int = 0
) -> Any:
    """An array over memory of the object store."""
    return np.ndarray(shape, dtype, buffer, offset, strides)


def rebuild_subarray(kind: type, attributes: dict[str, Any] | None, *form: Any) -> Any:
    """The same of a subclass, which sees no parent in `__array_finalize__`, as with NumPy's own pickles."""
    buffer, dtype, shape, *rest = form
    strides, offset = rest or (None, 0)
    array: Any = np.ndarray.__new__(kind, shape, dtype, buffer, offset, strides)
    if attributes:
        array.__dict__.update(attributes)
    return array
