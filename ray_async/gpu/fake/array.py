"""Arrays on fake devices: enough of an array to be filled, sliced, computed with and read."""

from __future__ import annotations

from typing import Any

import numpy as np

from ray_async.gpu.fake import memory
from ray_async.gpu.fake.memory import Block, FakePool, allocate
from ray_async.gpu.fake.streams import Stream, current_stream

__all__ = ("FakeArray", "array", "empty", "zeros")


class FakeArray:
    """Items in the memory of a fake device.

    Args:
        pointer: address of the first item.
        shape: items along each axis.
        dtype: of an item.
        strides: bytes between items along each axis.
        owner: keeps the memory.
        device: the process's number of the device that it lies on.
    """

    def __init__(
        self,
        pointer: int,
        shape: tuple[int, ...],
        dtype: Any,
        strides: tuple[int, ...],
        owner: Any,
        device: int,
    ) -> None:
        self.pointer = pointer
        self.shape = shape
        self.dtype = np.dtype(dtype)
        self.strides = strides
        self.owner = owner
        self.device = device

    @property
    def size(self) -> int:
        """Number of items."""
        return int(np.prod(self.shape, dtype=np.int64))

    @property
    def nbytes(self) -> int:
        """Bytes of the items."""
        return self.size * int(self.dtype.itemsize)

    def __getitem__(self, key: Any) -> FakeArray:
        """A view of some of the items."""
        # NumPy computes the form, over addresses that nobody looks at.
        form: Any = np.lib.stride_tricks.as_strided(np.empty(1, self.dtype), self.shape, self.strides)
        part = form[key] if isinstance(key, tuple) else form[key, ...]
        moved = part.__array_interface__["data"][0] - form.__array_interface__["data"][0]
        return FakeArray(self.pointer + moved, part.shape, self.dtype, part.strides, self.owner, self.device)

    @property
    def T(self) -> FakeArray:
        """The array with its axes turned around."""
        return FakeArray(self.pointer, self.shape[::-1], self.dtype, self.strides[::-1], self.owner, self.device)

    def fill(self, value: Any, stream: Stream | None = None) -> None:
        """Set all items, in order of a stream."""
        values = self._kernel_view()
        _stream(self, stream).launch(lambda: values().__setitem__(..., value))

    def set(self, values: Any, stream: Stream | None = None) -> None:
        """Copy items from the host, in order of a stream."""
        copied, target = np.array(values, self.dtype), self._kernel_view()
        _stream(self, stream).launch(lambda: target().__setitem__(..., copied))

    def add(self, value: Any, stream: Stream | None = None) -> None:
        """Add to all items in place, in order of a stream."""
        values = self._kernel_view()
        _stream(self, stream).launch(lambda: values().__iadd__(value))

    def get(self, stream: Stream | None = None) -> Any:
        """The items as a NumPy array, as a stream finds them; waits for that stream."""
        found, values, used = np.empty(self.shape, self.dtype), self._kernel_view(), _stream(self, stream)
        used.launch(lambda: found.__setitem__(..., values()))
        used.synchronize()
        return found

    def _kernel_view(self) -> Any:
        """What gives a kernel the items: by address, as a kernel has no hold on what keeps them."""
        return _view(self.pointer, self.shape, self.dtype, self.strides)

    def __reduce__(self) -> Any:
        """Outside a session: through the host, as CuPy does."""
        return array, (self.get(),)


def _view(pointer: int, shape: tuple[int, ...], dtype: Any, strides: tuple[int, ...]) -> Any:
    from ray_async.gpu.backend import Form

    before, after = Form(dtype, shape, strides, "fake").span(dtype.itemsize)

    def values() -> Any:
        data = memory.host(pointer - before, before + after) if before + after else np.empty(0, np.uint8)
        return np.ndarray(shape, dtype, data, before, strides)

    return values


def _stream(values: FakeArray, stream: Stream | None) -> Stream:
    return current_stream(values.device) if stream is None else stream


def empty(
    shape: Any,
    dtype: Any = float,
    device: int = 0,
    pool: FakePool | None = None,
    kind: str = "device",
    order: str = "C",
) -> FakeArray:
    """An array whose items are not set.

    Args:
        shape: items along each axis, or their number.
        dtype: of an item.
        device: the process's number of a device.
        pool: where its memory comes from; None: it has an allocation of its own.
        kind: of that allocation; see `memory.allocate`.
        order: "C" or "F".
    """
    shape = np.broadcast_shapes(shape)
    item, steps = np.dtype(dtype), []
    step = item.itemsize
    for length in shape[::-1] if order == "C" else shape:
        steps.append(step)
        step *= max(length, 1)
    strides = tuple(steps[::-1] if order == "C" else steps)
    size = int(np.prod(shape, dtype=np.int64)) * item.itemsize
    block: Block
    block = pool.allocate(max(size, 1)) if pool is not None else allocate(max(size, 1), device, kind)
    return FakeArray(block.address, shape, item, strides, block, device)


def zeros(shape: Any, dtype: Any = float, device: int = 0, **options: Any) -> FakeArray:
    """An array of zeros; `options` are those of `empty`."""
    made = empty(shape, dtype, device, **options)
    made.fill(0)
    return made


def array(values: Any, device: int = 0, **options: Any) -> FakeArray:
    """An array with the items of one on the host; `options` are those of `empty`."""
    source = np.asarray(values)
    made = empty(source.shape, source.dtype, device, **options)
    made.set(source)
    return made
