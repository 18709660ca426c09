"""Memory of this process that others refer to, each hand-over for as long as anybody has its reference.

The object behind a hand-over's reference lies in the session's object store, which counts references by process: what a
killed process had comes back there. So nothing is counted here. A hand-over is over when the only reference left is the
one that this process keeps itself. That reference is looked at by the agent, and costs no message.
"""

from __future__ import annotations

import threading
from typing import Any

from ray_async._core import store
from ray_async._core.arena import Arena
from ray_async._core.object_view import ObjectView
from ray_async.gpu.backend import Base, DeviceBackend, Located
from ray_async.gpu.hand_over import DeviceSource, HandOver
from ray_async.gpu.identity import ProcessIdentity
from ray_async.gpu.points import Point, Points

__all__ = ("ArrayExport", "ArrayExports")


class ArrayExport:
    """A hand-over by this process that is not over yet.

    Args:
        ref: the reference that stays here.
        array: keeps the memory.
        located: where it is.
        extent: first byte in the base and number of bytes.
        point: when it had been written.
        own: whether the memory was allocated here, and not received.
        origin: what the array is a copy of, needed until that has been made.
    """

    __slots__ = ("array", "extent", "located", "origin", "own", "point", "ref", "staged")

    def __init__(
        self,
        ref: Any,
        array: Any,
        located: Located,
        extent: tuple[int, int],
        point: Point | None,
        own: bool,
        origin: Any,
    ) -> None:
        self.ref = ref
        self.array = array
        self.located = located
        self.extent = extent
        self.point = point
        self.own = own
        self.origin = origin
        self.staged = False


class ArrayExports:
    """The hand-overs of one process through one device library.

    Args:
        arena: the session's shared memory.
        backend: the library.
        process: this one.
        points: its events.
    """

    def __init__(self, arena: Arena, backend: DeviceBackend, process: ProcessIdentity, points: Points) -> None:
        self._arena = arena
        self._view = ObjectView(arena)
        self._backend = backend
        self._process = process
        self._points = points
        self._lock = threading.Lock()
        self._live: dict[int, ArrayExport] = {}  # by the offset of the object
        self._handles: dict[tuple[int, int], bytes] = {}
        self._over: list[ArrayExport] = []  # whose event has not happened yet

    def add(
        self, array: Any, located: Located, source: DeviceSource | None = None, root: Any = None, origin: Any = None
    ) -> HandOver:
        """Begin a hand-over.

        Args:
            array: what is handed over.
            located: where it is in this process.
            source: whose allocation it is, if it was received.
            root: the hand-over by which it was.
            origin: what it is a copy of, which its stream has not made yet.
        """
        own = source is None
        if source is None:
            source = DeviceSource(self._backend.name, self._process, located.base, self._handle(located.base))
        device = self._backend.device(located.base.device)
        if device is None:  # memory that was opened by way of peer access
            device = self._backend.default_device() or 0
        point = self._points.mark(device, self._backend.stream(device))
        ref = store.new_promise(self._arena)
        offset = store.describe(self._arena, ref)["offset"]
        before, after = located.form.span(located.itemsize)
        begun = HandOver(
            source=source,
            offset=located.pointer - located.base.address,
            extent=(located.pointer - before - located.base.address, before + after),
            form=located.form,
            # A second one: when the pickle that it is for fails, the first is the only one left.
            ref=self._view.reference(offset),
            root=root,
            point=point,
            process=self._process,
        )
        with self._lock:
            self._live[offset] = ArrayExport(ref, array, located, begun.extent, point, own, origin if point else None)
        return begun

    def _handle(self, base: Base) -> bytes:
        key = base.address, base.generation
        handle = self._handles.get(key)
        if handle is None:
            # At most one is kept for an address: what lay there before is gone.
            handle = self._backend.export_base(base)
            with self._lock:
                for old in [old for old in self._handles if old[0] == base.address]:
                    del self._handles[old]
                self._handles[key] = handle
        return handle

    def event(self, point: Point) -> Any:
        """The event behind a point of this process."""
        return self._points.local_event(point)

    def find(self, ref: Any) -> ArrayExport | None:
        """The hand-over behind a reference; None if it is over, or another process's."""
        return self.at(store.describe(self._arena, ref)["offset"])

    def at(self, offset: int) -> ArrayExport | None:
        """The hand-over whose object lies at an offset of the shared memory."""
        with self._lock:
            return self._live.get(offset)

    def all(self) -> list[ArrayExport]:
        """Those that are not over."""
        with self._lock:
            return list(self._live.values())

    def sweep(self) -> int:
        """End the hand-overs that nobody else refers to; returns how many are left."""
        with self._lock:
            live = list(self._live.items())
        for offset, export in live:
            if store.describe(self._arena, export.ref)["references"] == 1:
                with self._lock:
                    del self._live[offset]
                self._over.append(export)
            elif export.origin is not None and export.point is not None and self._points.is_done(export.point):
                export.origin = None
        # One that fails stays: the next sweep tries it again.
        self._over[:] = [export for export in self._over if not self._end(export)]
        with self._lock:
            return len(self._live) + len(self._over)

    def _end(self, export: ArrayExport) -> bool:
        """Let a hand-over's memory go, and its event once that has happened; whether all is done."""
        if not store.is_ready(self._arena, export.ref):
            store.fulfil(self._arena, export.ref, None)  # an object that is never completed is never freed
        if export.origin is None:
            export.array = None  # as if the program dropped it
        if export.point is not None and not self._points.give_back(export.point):
            return False
        export.array = export.origin = None  # the copy has been made
        return True

    def bytes_held(self) -> int:
        """Bytes of this process's own allocations that hand-overs keep, each base once."""
        with self._lock:
            bases = {export.located.base for export in self._live.values() if export.own}
        return sum(base.size for base in bases)

    def close(self) -> None:
        """Forget all; the references are given back with the session."""
        with self._lock:
            live, self._live = self._live, {}
            self._handles.clear()
        for export in live.values():
            export.array = None
