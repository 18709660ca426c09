"""Parts of a device array that travel: plain numbers, and references that keep its memory."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from ray_async.gpu.backend import Base, Form
from ray_async.gpu.identity import ProcessIdentity
from ray_async.gpu.points import Point

__all__ = ("DeviceSource", "HandOver", "unpack")


class DeviceSource(NamedTuple):
    """An allocation, and how other processes get at it.

    Args:
        backend: name of the device library.
        process: whose allocation it is.
        base: which it is.
        handle: by which it is opened.
    """

    backend: str
    process: ProcessIdentity
    base: Base
    handle: bytes


class HandOver(NamedTuple):
    """An array on its way.

    Args:
        source: the allocation that it lies in.
        offset: bytes from the allocation's start to the array's first item.
        extent: first byte in the allocation that the array uses, and how many bytes from there.
        form: how it lies there.
        ref: reference to this hand-over's object: while anybody has one, its point is kept, and its memory too if this
            process allocated it. The object comes to hold a copy in host memory once that is asked for.
        root: the same of the hand-over by which the array came to a process that passes it on; None at its origin.
        point: when it had been written; None: before it was handed over.
        process: who handed it over.
    """

    source: DeviceSource
    offset: int
    extent: tuple[int, int]
    form: Form
    ref: Any
    root: Any
    point: Point | None
    process: ProcessIdentity

    def pack(self) -> tuple[Any, ...]:
        """Plain values alone, which the pickler writes without asking for each what it is."""
        source, form, point = self.source, self.form, self.point
        dtype = form.dtype
        named = dtype.isbuiltin == 1 and dtype.metadata is None
        return (
            (source.backend, *source.process, source.handle, *source.base),
            (self.offset, *self.extent),
            (dtype.str if named else dtype, form.shape, form.strides, form.kind, form.item),
            self.ref,
            self.root,
            None if point is None else (*point.process, point.slot, point.turn, point.handle),
            (self.process.pid, self.process.start),
        )


def unpack(
    source: tuple[Any, ...],
    place: tuple[int, int, int],
    form: tuple[Any, ...],
    ref: Any,
    root: Any,
    point: tuple[Any, ...] | None,
    process: tuple[int, int],
) -> HandOver:
    """The hand-over that `HandOver.pack` has packed."""
    backend, pid, start, handle, *base = source
    offset, *extent = place
    dtype, *rest = form
    return HandOver(
        source=DeviceSource(backend, ProcessIdentity(pid, start), Base(*base), handle),
        offset=offset,
        extent=(extent[0], extent[1]),
        form=Form(np.dtype(dtype), *rest),
        ref=ref,
        root=root,
        point=None if point is None else Point(ProcessIdentity(*point[:2]), *point[2:]),
        process=ProcessIdentity(*process),
    )
