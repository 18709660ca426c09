"""The fake devices behind the interface of hand-overs."""

from __future__ import annotations

from typing import Any

import numpy as np

from ray_async.gpu.backend import Base, Form, Located
from ray_async.gpu.fake import memory
from ray_async.gpu.fake.array import FakeArray, array, empty
from ray_async.gpu.fake.machine import count, machine, visible_devices
from ray_async.gpu.fake.streams import Event, Stream, current_stream, open_event

__all__ = ("FakeBackend", "make_backend")

_POLL_S = 0.001


class FakeBackend:
    """Implements `ray_async.gpu.backend.DeviceBackend`."""

    name = "fake"

    def locate(self, array: FakeArray) -> Located:
        base, kind = memory.base_at(array.pointer)
        refusal = "" if kind in ("device", "opened") else f"it lies in {kind} memory"
        form = Form(array.dtype, array.shape, array.strides, "fake")
        return Located(base, array.pointer, form, array.dtype.itemsize, refusal)

    def device(self, uuid: str) -> int | None:
        devices = visible_devices()
        return devices.index(uuid) if uuid in devices else None

    def can_open(self, uuid: str) -> int | None:
        own = self.device(uuid)
        if own is not None or not machine().peers or uuid.startswith("MIG-"):
            return own
        devices = visible_devices()
        return 0 if devices and devices[0].startswith("GPU-") else None

    def default_device(self) -> int | None:
        return 0 if visible_devices() else None

    def export_base(self, base: Base) -> bytes:
        return memory.export_base(base)

    def open_base(self, handle: bytes, device: int) -> int:
        return memory.open_base(handle)

    def close_base(self, address: int, device: int) -> None:
        memory.close_base(address)

    def stream(self, device: int) -> Stream:
        return current_stream(device)

    def new_event(self, device: int) -> Event:
        return Event()

    def event_handle(self, event: Event) -> bytes:
        return event.handle

    def open_event(self, handle: bytes, device: int) -> Any:
        return open_event(handle)

    def record(self, event: Event, stream: Stream) -> None:
        event.record(stream)

    def happened(self, event: Any) -> bool:
        return bool(event.happened())

    def wait(self, event: Any, stream: Stream) -> None:
        event.wait(stream)

    def await_event(self, event: Any) -> None:
        import threading

        while not event.happened():
            threading.Event().wait(_POLL_S)

    def view(self, owner: Any, pointer: int, form: Form, base_pointer: int, size: int, device: int) -> FakeArray:
        return FakeArray(pointer, form.shape, form.dtype, form.strides, owner, device)

    def read(self, pointer: int, size: int, device: int, stream: Stream) -> Any:
        count("copy_to_host")
        whole = FakeArray(pointer, (size,), np.dtype(np.uint8), (1,), None, device)
        return whole.get(stream)

    def to_host(self, array: FakeArray) -> Any:
        return array.get()

    def upload(self, data: Any, before: int, form: Form, device: int) -> FakeArray:
        count("copy_to_device")
        moved = array(np.asarray(data), device)
        return FakeArray(moved.pointer + before, form.shape, form.dtype, form.strides, moved.owner, device)

    def copy(self, array: FakeArray) -> FakeArray:
        count("copy_on_device")
        copied = empty(array.shape, array.dtype, array.device)
        source, target = array._kernel_view(), copied._kernel_view()
        current_stream(array.device).launch(lambda: target().__setitem__(..., source()))
        return copied


def make_backend() -> FakeBackend:
    """The backend of this process."""
    return FakeBackend()
