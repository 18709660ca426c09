"""Plain memory: memoryviews, machine arrays, and memory that its reader may write to."""

from __future__ import annotations

from array import array
from pickle import PickleBuffer
from typing import Any

from ray_async._core.object_ref import Buffer

__all__ = ("reduce_machine_array", "reduce_memoryview", "writable")

# What memoryview.cast knows.
_CASTABLE = frozenset("cbB?hHiIlLqQnNfd")


def reduce_memoryview(view: memoryview) -> Any:
    """A contiguous view of plain numbers comes back as a view; cloudpickle makes bytes of the others."""
    if not view.c_contiguous or view.format not in _CASTABLE:
        return NotImplemented
    return rebuild_memoryview, (PickleBuffer(view), view.format, view.shape)


def rebuild_memoryview(buffer: Any, format: str, shape: tuple[int, ...]) -> memoryview:
    """A memoryview over memory of the object store."""
    flat: Any = memoryview(buffer).cast("B")  # the stubs know constant formats only
    if 0 in shape:  # memoryview.cast knows no shapes without items
        return flat.cast(format)  # type: ignore[no-any-return]
    return flat.cast(format, shape or [])  # type: ignore[no-any-return]


def reduce_machine_array(values: array[Any]) -> Any:
    """An `array.array` owns its memory: it is copied once on each side."""
    if type(values) is not array:
        return NotImplemented
    return rebuild_machine_array, (values.typecode, PickleBuffer(values))


def rebuild_machine_array(typecode: str, buffer: Any) -> array[Any]:
    """An array of its own with the items of stored memory."""
    values: array[Any] = array(typecode)
    values.frombytes(buffer)
    return values


def writable(memory: Any) -> Any:
    """Memory of one's own with the same bytes; only what is written to is copied, where that pays."""
    return memory.writable() if isinstance(memory, Buffer) else bytearray(memory)
