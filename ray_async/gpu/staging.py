"""Copies in host memory: where memory of a GPU cannot be opened, and when its process ends in order.

The copy becomes the value of the hand-over's object in the session's object store: all who need one find it there, it
is spilled like other objects, and freed with the last reference. Who needs a copy sends the object's place to the
process that has the memory, and waits for the object. A copy holds the bytes between the first and the last item of an
array: so slices of that array, which others passed on, are found in it too.
"""

from __future__ import annotations

import contextlib
import logging
import os
import socket
import struct
import threading
from collections.abc import Callable
from typing import Any

import numpy as np

from ray_async._core import store
from ray_async._core.arena import Arena
from ray_async.exceptions import GetTimeoutError
from ray_async.gpu.backend import DeviceBackend
from ray_async.gpu.exports import ArrayExport, ArrayExports
from ray_async.gpu.hand_over import HandOver
from ray_async.gpu.identity import Peers, ProcessIdentity

__all__ = ("Staging",)

_logger = logging.getLogger("ray_async")
_PLACE = struct.Struct("<Q")
_SLICE_S = 0.2
Lost = Callable[[HandOver, str], Exception]


class Staging:
    """Makes copies for others, and asks others for copies.

    Args:
        arena: the session's shared memory.
        backend: the device library.
        process: this one.
        directory: of the session's files about GPUs.
        exports: what this process has handed over.
        peers: says which others live.
    """

    def __init__(
        self,
        arena: Arena,
        backend: DeviceBackend,
        process: ProcessIdentity,
        directory: str,
        exports: ArrayExports,
        peers: Peers,
    ) -> None:
        self._arena = arena
        self._backend = backend
        self._process = process
        self._directory = directory
        self._exports = exports
        self._peers = peers
        self._lock = threading.Lock()
        self._threads: set[threading.Thread] = set()
        self._noted: set[str] = set()
        self._path = self._address(process)
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.setblocking(False)
        self.socket.bind(self._path)

    def _address(self, process: ProcessIdentity) -> str:
        return os.path.join(self._directory, f"{self._backend.name}-{process.pid}-{process.start}")

    # -- for others ----------------------------------------------------------------------------------------------------

    def answer(self) -> None:
        """Make the copies that others have asked for, each on a thread of its own: the device takes its time."""
        while True:
            try:
                (place,) = _PLACE.unpack(self.socket.recv(_PLACE.size))
            except BlockingIOError:
                return
            export = self._exports.at(place)
            if export is not None:
                thread = threading.Thread(target=self._stage_for, args=(export,), name="ray::gpu-copy", daemon=True)
                with self._lock:
                    self._threads.add(thread)
                thread.start()

    def _stage_for(self, export: ArrayExport) -> None:
        try:
            self._stage(export)
        finally:
            with self._lock:
                self._threads.discard(threading.current_thread())

    def _stage(self, export: ArrayExport) -> None:
        """Make a hand-over's object hold a copy of its memory, or the error that this has met."""
        with self._lock:
            if export.staged:
                return
            export.staged = True
        try:
            located = export.located
            start, size = export.extent
            device = self._backend.can_open(located.base.device) or 0
            stream = self._backend.stream(device)
            if export.point is not None:
                self._backend.wait(self._exports.event(export.point), stream)
            value = start, self._backend.read(located.base.address + start, size, device, stream)
        except Exception as error:  # of the device's library: who waits for the copy is told
            store.fulfil(self._arena, export.ref, f"{type(error).__name__}: {error}")
            _logger.exception("an array on a GPU could not be copied to the host")
            return
        store.fulfil(self._arena, export.ref, value)

    def keep_all(self) -> None:
        """Copy what others still refer to, since this process ends."""
        self._exports.sweep()
        for export in self._exports.all():
            if export.own:
                self._stage(export)

    # -- from others ---------------------------------------------------------------------------------------------------

    def fetch(self, begun: HandOver, lost: Lost) -> tuple[int, Any]:
        """A copy of a hand-over's memory: where it starts in the allocation, and its bytes.

        Raises:
            DeviceMemoryLostError: the processes that could make one are gone, or failed to.
        """
        places = [(begun.ref, begun.process)]
        if begun.root is not None:
            places.append((begun.root, begun.source.process))
            if not self._peers.is_alive(begun.source.process) and begun.source.process != self._process:
                # What a mapping shows after its owner's end is undefined: who passed it on is not asked for it.
                places = [place for place in places if place[0] is begun.root or store.is_ready(self._arena, place[0])]
        for ref, process in places:
            value = self._value(ref, process)
            if isinstance(value, str):
                raise lost(begun, f"{process} could not copy it from its GPU: {value}")
            if value is not None:
                return int(value[0]), value[1]
        raise lost(begun, f"It lies on a GPU, in memory of {begun.source.process}, which has ended.")

    def _value(self, ref: Any, process: ProcessIdentity) -> Any:
        """What a hand-over's object holds, once its process has seen to that; None if that is gone."""
        if process == self._process:
            export = self._exports.find(ref)
            if export is not None:
                self._stage(export)
        asked = False
        while not store.is_ready(self._arena, ref):
            alive = self._peers.is_alive(process)
            if not alive and not store.is_ready(self._arena, ref):
                return None
            if not asked and alive:
                asked = self._ask(ref, process)
            with contextlib.suppress(GetTimeoutError):
                store.get_one(self._arena, ref, _SLICE_S)
        return store.get_one(self._arena, ref)

    def _ask(self, ref: Any, process: ProcessIdentity) -> bool:
        place = store.describe(self._arena, ref)["offset"]
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as asking:
            asking.setblocking(False)
            try:
                asking.sendto(_PLACE.pack(place), self._address(process))
            except (BlockingIOError, ConnectionRefusedError, FileNotFoundError):
                return False  # it has more to do than it can note, or ends just now
        return True

    def span(self, begun: HandOver, copied: tuple[int, Any]) -> tuple[Any, int]:
        """The bytes of a hand-over out of a copy, and where among them its first item begins."""
        start, data = copied
        first, size = begun.extent
        return data[first - start : first - start + size], begun.offset - first

    def host_array(self, begun: HandOver, copied: tuple[int, Any]) -> Any:
        """A copy as a NumPy array."""
        data, before = self.span(begun, copied)
        form = begun.form
        return np.ndarray(form.shape, np.dtype(form.dtype), data, before, form.strides)

    # -- beside --------------------------------------------------------------------------------------------------------

    def exportable(self, array: Any, refusal: str) -> Any:
        """The array in memory that others can open."""
        self.note_copy(f"{refusal}, which other processes cannot open")
        return self._backend.copy(array)

    def note_copy(self, reason: str) -> None:
        """Say once for each reason that arrays are copied."""
        with self._lock:
            if reason in self._noted:
                return
            self._noted.add(reason)
        _logger.warning("an array on a GPU is copied on its way: %s", reason)

    def close(self) -> None:
        """Answer nobody any more; copies that are being made are finished."""
        with self._lock:
            threads = list(self._threads)
        for thread in threads:
            thread.join()
        self.socket.close()
        with contextlib.suppress(FileNotFoundError):
            os.unlink(self._path)
