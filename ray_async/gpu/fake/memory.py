"""Memory of fake devices: one file for each allocation, which other processes map as they would open an IPC handle.

Addresses are numbers that a process gives out, the lowest free one first: what is freed and allocated again has the
same address. A file goes with its allocation, and cannot be opened when its process has ended.
"""

from __future__ import annotations

import bisect
import json
import mmap
import os
import threading
import weakref
from collections import deque
from typing import Any

import numpy as np

from ray_async.gpu.backend import Base, MemoryGoneError
from ray_async.gpu.fake.machine import (
    FakeDeviceError,
    FakeOutOfMemoryError,
    count,
    initialise,
    machine,
    visible_devices,
)
from ray_async.gpu.identity import ProcessIdentity, own_identity

__all__ = (
    "Block",
    "FakePool",
    "allocate",
    "base_at",
    "bytes_used",
    "close_base",
    "export_base",
    "forget",
    "free_at",
    "host",
    "open_base",
    "open_bases",
)

_FIRST_ADDRESS, _ADDRESS_STEP = 0x7F00_0000_0000, 1 << 36


class _Mapped:
    """Memory that this process can address."""

    __slots__ = ("base", "bytes", "kind", "map", "path")

    def __init__(self, base: Base, path: str, kind: str) -> None:
        fd = os.open(path, os.O_RDWR | os.O_CLOEXEC)
        try:
            self.map = mmap.mmap(fd, base.size)
        finally:
            os.close(fd)
        self.base = base
        self.path = path
        self.kind = kind
        self.bytes: Any = np.frombuffer(self.map, np.uint8)


class _Memory:
    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.mapped: dict[int, _Mapped] = {}
        self.sorted: list[int] = []
        self.used: dict[str, int] = {}
        self.generation = 0
        self.owner: ProcessIdentity | None = None
        self.freed: deque[tuple[int, int]] = deque()  # blocks die anywhere, also where the lock is held


_memory = _Memory()


class Block:
    """An allocation, or a part of one; it is freed with the object."""

    def __init__(self, address: int, size: int, generation: int = 0, keeper: Any = None) -> None:
        self.address = address
        self.size = size
        self.keeper = keeper
        if keeper is None:
            weakref.finalize(self, _free, address, generation, os.getpid()).atexit = False


def allocate(size: int, device: int = 0, kind: str = "device") -> Block:
    """Allocate on a device.

    Args:
        size: bytes, at least one.
        device: this process's number of it.
        kind: "device"; others ("managed", "stream-ordered", "virtual") cannot be exported.

    Raises:
        FakeOutOfMemoryError: there is no room.
    """
    uuids = visible_devices()
    if not 0 <= device < len(uuids):
        raise FakeDeviceError(f"invalid device ordinal {device}: this process sees {len(uuids)}")
    uuid, whole = uuids[device], machine()
    count("allocate")
    _drain()
    with _memory.lock:
        if _memory.owner is None:
            _memory.owner = own_identity()
        if _memory.used.get(uuid, 0) + size > whole.size:
            raise FakeOutOfMemoryError(f"out of memory allocating {size} bytes on {uuid}")
        _memory.used[uuid] = _memory.used.get(uuid, 0) + size
        _memory.generation += 1
        base = Base(uuid, _lowest(), _memory.generation, size)
        folder = _folder(whole.directory, _memory.owner)
        os.makedirs(folder, exist_ok=True)
        path = os.path.join(folder, str(base.generation))
        with open(path, "xb") as file:
            file.truncate(size)
        _enter(base.address, _Mapped(base, path, kind))
    return Block(base.address, size, base.generation)


def _lowest() -> int:
    address = _FIRST_ADDRESS
    while address in _memory.mapped:
        address += _ADDRESS_STEP
    return address


def _enter(address: int, mapped: _Mapped) -> None:
    _memory.mapped[address] = mapped
    bisect.insort(_memory.sorted, address)


def _leave(address: int) -> _Mapped:
    mapped = _memory.mapped.pop(address)
    _memory.sorted.remove(address)
    mapped.bytes = None  # the map goes when nobody copies any more
    return mapped


def _free(address: int, generation: int, pid: int) -> None:
    if pid == os.getpid():
        _memory.freed.append((address, generation))
        _drain()


def free_at(address: int) -> None:
    """Free an allocation whoever still uses it, as a program's own `cudaFree` does."""
    _free(address, base_at(address)[0].generation, os.getpid())


def _drain() -> None:
    """Free what died; left to the next call where somebody is at it."""
    while _memory.freed and _memory.lock.acquire(blocking=False):
        try:
            address, generation = _memory.freed.popleft()
            found = _memory.mapped.get(address)
            # Of a machine before this one, or freed by hand, if it is another.
            if found is not None and found.kind != "opened" and found.base.generation == generation:
                mapped = _leave(address)
                _memory.used[mapped.base.device] -= mapped.base.size
                os.unlink(mapped.path)
                count("free")
        except IndexError:
            return  # another thread was faster
        finally:
            _memory.lock.release()


def base_at(pointer: int) -> tuple[Base, str]:
    """The allocation that an address lies in, as this process addresses it, and its kind."""
    mapped, _ = _find(pointer)
    return mapped.base, mapped.kind


def _find(pointer: int) -> tuple[_Mapped, int]:
    initialise()
    with _memory.lock:
        place = bisect.bisect_right(_memory.sorted, pointer) - 1
        address = _memory.sorted[place] if place >= 0 else -1
        mapped = _memory.mapped.get(address)
    if mapped is None or pointer > address + mapped.base.size:
        raise FakeDeviceError(f"an illegal memory access was encountered at {pointer:#x}")
    return mapped, address


def host(pointer: int, size: int) -> Any:
    """The bytes behind an address, as a device sees them: for kernels alone."""
    mapped, address = _find(pointer)
    start = pointer - address
    if start + size > mapped.base.size:
        raise FakeDeviceError(f"an illegal memory access was encountered at {pointer + size:#x}")
    return mapped.bytes[start : start + size]


def export_base(base: Base) -> bytes:
    """The handle of an allocation of this process."""
    count("export_base")
    mapped, _ = _find(base.address)
    if mapped.kind != "device":
        raise FakeDeviceError("invalid argument: this memory cannot be exported")
    return json.dumps([mapped.path, *(_memory.owner or ()), *base]).encode()


def open_base(handle: bytes) -> int:
    """Map another process's allocation.

    Raises:
        MemoryGoneError: it was freed, or its process has ended.
        FakeDeviceError: it is this process's own, or it is open already.
    """
    path, pid, start, device, _, generation, size = json.loads(handle)
    owner = ProcessIdentity(pid, start)
    if owner == own_identity():
        raise FakeDeviceError("invalid device context: a process cannot open its own memory")
    count("open_base")
    with _memory.lock:
        if any(mapped.path == path for mapped in _memory.mapped.values()):
            raise FakeDeviceError("this allocation is already open")
        address = _lowest()
        try:
            if not os.path.exists(f"/proc/{pid}"):
                raise FileNotFoundError
            mapped = _Mapped(Base(device, address, generation, size), path, "opened")
        except FileNotFoundError:
            raise MemoryGoneError(f"{owner} has freed it, or has ended") from None
        _enter(address, mapped)
    return address


def close_base(address: int) -> None:
    """Unmap another process's allocation."""
    count("close_base")
    with _memory.lock:
        _leave(address)


def open_bases() -> int:
    """How many allocations of other processes are open in this one."""
    with _memory.lock:
        return sum(mapped.kind == "opened" for mapped in _memory.mapped.values())


def bytes_used(device: int = 0) -> int:
    """Bytes that this process has allocated on a device."""
    uuid = visible_devices()[device]
    _drain()
    with _memory.lock:
        return _memory.used.get(uuid, 0)


def forget() -> None:
    """Free all: the machine is gone."""
    with _memory.lock:
        for address in list(_memory.mapped):
            _leave(address)
        _memory.used.clear()


def _folder(directory: str, owner: ProcessIdentity) -> str:
    return os.path.join(directory, f"{owner.pid}-{owner.start}")


class FakePool:
    """Parts of large allocations, so that many arrays share a base.

    Args:
        size: bytes of an allocation.
        device: on which it lies.
    """

    def __init__(self, size: int = 1 << 20, device: int = 0) -> None:
        self._size = size
        self._device = device
        self._lock = threading.Lock()
        self._chunks: list[Block] = []
        self._free: list[tuple[int, int]] = []  # address, bytes
        self._died: deque[tuple[int, int]] = deque()

    def allocate(self, size: int) -> Block:
        """A part of `size` bytes."""
        size = -(-size // 64) * 64
        with self._lock:
            while self._died:
                self._free.append(self._died.popleft())
            self._free.sort()
            place = next((n for n, (_, room) in enumerate(self._free) if room >= size), None)
            if place is None:
                chunk = allocate(max(size, self._size), self._device)
                self._chunks.append(chunk)
                self._free.append((chunk.address, chunk.size))
                place = -1
            address, room = self._free.pop(place)
            if room > size:
                self._free.append((address + size, room - size))
        part = Block(address, size, keeper=self)
        weakref.finalize(part, self._died.append, (address, size)).atexit = False
        return part
