"""Backends: what a device library must do so that its arrays travel between processes.

A *base* is one allocation; arrays lie in bases. Streams and events are the library's own objects, which only it looks
into. Every call of a backend may be made from any thread; none is made while a lock of ours is held.
"""

from __future__ import annotations

from typing import Any, NamedTuple, Protocol

__all__ = ("Base", "DeviceBackend", "Form", "Located", "MemoryGoneError")


class MemoryGoneError(Exception):
    """An allocation of another process is not there any more."""


class Base(NamedTuple):
    """One allocation of a process.

    Args:
        device: UUID of the GPU, or of the slice of one, that it lies on.
        address: where it begins, in the process that made it.
        generation: which allocation at that address it is; never the same twice in one process.
        size: bytes.
    """

    device: str
    address: int
    generation: int
    size: int


class Form(NamedTuple):
    """How an array lies in memory.

    Args:
        dtype: what `numpy.dtype` makes its type of.
        shape: items along each axis.
        strides: bytes from one item to the next along each axis.
        kind: library whose array it was: "cupy", "torch", "fake".
        item: the library's name of the type, where NumPy has none (bfloat16).
    """

    dtype: Any
    shape: tuple[int, ...]
    strides: tuple[int, ...]
    kind: str
    item: str = ""

    def span(self, itemsize: int) -> tuple[int, int]:
        """Bytes before and after the start of the first item, between which all items lie."""
        if 0 in self.shape:
            return 0, 0
        steps = [(length - 1) * stride for length, stride in zip(self.shape, self.strides, strict=True)]
        return -sum(step for step in steps if step < 0), sum(step for step in steps if step > 0) + itemsize


class Located(NamedTuple):
    """Where an array is.

    Args:
        base: its allocation.
        pointer: address of its first item.
        form: how it lies there.
        itemsize: bytes of one item.
        refusal: why the allocation cannot be opened by other processes, in a few words; empty if it can.
    """

    base: Base
    pointer: int
    form: Form
    itemsize: int
    refusal: str = ""


class DeviceBackend(Protocol):
    """The device library behind one kind of array."""

    name: str

    def locate(self, array: Any) -> Located:
        """Find the allocation that an array lies in, without a call that fails."""

    def device(self, uuid: str) -> int | None:
        """This process's number of a device; None if it does not see it."""

    def can_open(self, uuid: str) -> int | None:
        """The device on which allocations of another are opened: itself, or one with peer access; else None."""

    def default_device(self) -> int | None:
        """The device that copies are made on; None where there is none."""

    def export_base(self, base: Base) -> bytes:
        """The handle by which another process opens an allocation of this one."""

    def open_base(self, handle: bytes, device: int) -> int:
        """Open another process's allocation; returns its address here.

        Raises:
            MemoryGoneError: it is not there any more.
        """

    def close_base(self, address: int, device: int) -> None:
        """Undo `open_base`."""

    def stream(self, device: int) -> Any:
        """The calling thread's current stream."""

    def new_event(self, device: int) -> Any:
        """An event without a clock that other processes can wait for."""

    def event_handle(self, event: Any) -> bytes:
        """The handle by which another process opens an event."""

    def open_event(self, handle: bytes, device: int) -> Any:
        """An event of another process."""

    def record(self, event: Any, stream: Any) -> None:
        """Have an event happen when all that is in a stream now is done."""

    def happened(self, event: Any) -> bool:
        """Whether all is done that the last `record` covered."""

    def wait(self, event: Any, stream: Any) -> None:
        """Have a stream wait for the last `record` of an event; the host does not wait."""

    def await_event(self, event: Any) -> None:
        """Have the calling thread wait for an event, with the interpreter free."""

    def view(self, owner: Any, pointer: int, form: Form, base_pointer: int, size: int, device: int) -> Any:
        """An array over memory that `owner` keeps: `size` bytes from `base_pointer`."""

    def read(self, pointer: int, size: int, device: int, stream: Any) -> Any:
        """Bytes of the device as a NumPy array of `uint8`, by one copy; the thread waits for that stream alone."""

    def to_host(self, array: Any) -> Any:
        """The array as a NumPy array; the thread waits for its current stream alone."""

    def upload(self, data: Any, before: int, form: Form, device: int) -> Any:
        """A new array on a device from bytes of the host; its first item is `before` bytes behind their start."""

    def copy(self, array: Any) -> Any:
        """The array in an allocation that other processes can open, copied in order of its stream."""
