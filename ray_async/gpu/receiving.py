"""Arrival of a device array: by its memory where that can be opened, else by one copy."""

from __future__ import annotations

from typing import Any

from ray_async._core.arena import Arena
from ray_async.exceptions import DeviceMemoryLostError
from ray_async.gpu.backend import DeviceBackend, MemoryGoneError
from ray_async.gpu.hand_over import HandOver
from ray_async.gpu.identity import Peers, ProcessIdentity
from ray_async.gpu.imports import Imports
from ray_async.gpu.points import Point, PointReader, Points
from ray_async.gpu.staging import Staging

__all__ = ("Receiver",)


class Receiver:
    """Makes arrays of hand-overs.

    Args:
        arena: the session's shared memory.
        backend: the device library.
        process: this one.
        peers: says which others live.
        imports: allocations that are open here.
        points: this process's own.
        reader: other processes' points.
        staging: copies.
    """

    def __init__(
        self,
        arena: Arena,
        backend: DeviceBackend,
        process: ProcessIdentity,
        peers: Peers,
        imports: Imports,
        points: Points,
        reader: PointReader,
        staging: Staging,
    ) -> None:
        self._arena = arena
        self._backend = backend
        self._process = process
        self._peers = peers
        self._imports = imports
        self._points = points
        self._reader = reader
        self._staging = staging

    def receive(self, begun: HandOver) -> Any:
        """The array, in this process.

        Raises:
            DeviceMemoryLostError: its memory is gone.
            RuntimeError: this process sees no device.
        """
        source = begun.source
        if source.process == self._process:
            return self._view(begun, None, self._backend.device(source.base.device))
        if not self._peers.is_alive(source.process):
            return self._copy(begun, "")
        device = self._backend.can_open(source.base.device)
        if device is None:
            return self._copy(begun, f"it lies on {source.base.device}, which this process cannot reach")
        try:
            mapping = self._imports.open(source, device)
        except MemoryGoneError as error:
            raise self._lost(begun, f"Its memory on the GPU is gone: {error}.") from error
        return self._view(begun, mapping, device)

    def read(self, begun: HandOver) -> Any:
        """The values as a NumPy array, whether this process sees a device or not.

        Raises:
            DeviceMemoryLostError: the memory is gone.
        """
        source = begun.source
        if source.process == self._process or (
            self._peers.is_alive(source.process) and self._backend.can_open(source.base.device) is not None
        ):
            return self._backend.to_host(self.receive(begun))
        return self._staging.host_array(begun, self._staging.fetch(begun, self._lost))

    def _view(self, begun: HandOver, mapping: Any, device: int | None) -> Any:
        source = begun.source
        assert device is not None, "a process sees its own device"
        stream = self._backend.stream(device)
        refs = (begun.ref,) if begun.root is None else (begun.ref, begun.root)
        start, size = begun.extent
        address = source.base.address if mapping is None else mapping.address
        # From here on the loan gives back whatever happens.
        loan = self._imports.lend(mapping, refs, stream, device, begun.extent)
        if begun.point is not None:
            self._wait(begun, begun.point, stream, device)
        return self._backend.view(loan, address + begun.offset, begun.form, address + start, size, device)

    def _wait(self, begun: HandOver, point: Point, stream: Any, device: int) -> None:
        if point.process == self._process:
            self._backend.wait(self._points.local_event(point), stream)
        elif not self._reader.is_done(point):
            if self._peers.is_alive(point.process):
                self._backend.wait(self._reader.event(point, device), stream)
            elif not self._reader.is_done(point):
                raise self._lost(begun, f"{point.process} has ended before what it wrote there was complete.")

    def _copy(self, begun: HandOver, reason: str) -> Any:
        device = self._backend.default_device()
        if device is None:
            if not reason:
                self._staging.fetch(begun, self._lost)  # the memory's loss comes first
            raise RuntimeError(
                f"this process sees no GPU for an array of {begun.source.base.device}: give the task or actor one "
                "with num_gpus, or read the values with get(ref, like='numpy')"
            )
        data, before = self._staging.span(begun, self._staging.fetch(begun, self._lost))
        if reason:
            self._staging.note_copy(reason)
        return self._backend.upload(data, before, begun.form, device)

    def _lost(self, begun: HandOver, reason: str) -> DeviceMemoryLostError:
        return DeviceMemoryLostError(begun.ref.hex(), reason)
