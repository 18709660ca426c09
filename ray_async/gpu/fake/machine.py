"""The devices that a process sees, what it has called, and errors.

An environment variable describes the machine, so that workers see what their driver does: where the memory lies, how
many devices there are, which of them are slices, and whether they reach each other. `CUDA_VISIBLE_DEVICES` is read as
CUDA reads it: numbers and UUIDs, up to the first that means nothing.
"""

from __future__ import annotations

import contextlib
import json
import os
import threading
from collections import Counter
from collections.abc import Iterator
from typing import NamedTuple

__all__ = (
    "FakeDeviceError",
    "FakeMachine",
    "FakeOutOfMemoryError",
    "count",
    "counts",
    "initialise",
    "machine",
    "reset_counts",
    "use",
    "visible_devices",
)

_VARIABLE = "RAY_ASYNC_FAKE_GPU"
_VISIBLE = "CUDA_VISIBLE_DEVICES"


class FakeDeviceError(RuntimeError):
    """What a device library raises for a call that fails."""


class FakeOutOfMemoryError(FakeDeviceError, MemoryError):
    """A device has no room."""


class FakeMachine(NamedTuple):
    """What devices there are.

    Args:
        directory: where their memory lies.
        uuids: of the devices, and of the slices after them.
        peers: whether devices reach each other's memory.
        size: bytes of each.
    """

    directory: str
    uuids: tuple[str, ...]
    peers: bool
    size: int


class _Process:
    """What one process has done; a child that it forks cannot go on with that."""

    def __init__(self) -> None:
        self.initialised_in = 0
        self.visible: tuple[str, ...] = ()
        self.lock = threading.Lock()
        self.counts: Counter[str] = Counter()


_process = _Process()


@contextlib.contextmanager
def use(directory: str, devices: int = 1, slices: int = 0, peers: bool = True, size: int = 1 << 30) -> Iterator[None]:
    """Have this process, and those that it starts meanwhile, see fake devices.

    Args:
        directory: an empty one, for what their memory holds.
        devices: how many.
        slices: how many MIG slices beside them.
        peers: whether devices reach each other's memory.
        size: bytes of each.
    """
    uuids = [f"GPU-fake-{n}" for n in range(devices)] + [f"MIG-fake-{n}" for n in range(slices)]
    before = os.environ.get(_VARIABLE)
    os.environ[_VARIABLE] = json.dumps({"directory": str(directory), "uuids": uuids, "peers": peers, "size": size})
    try:
        yield
    finally:
        if before is None:
            del os.environ[_VARIABLE]
        else:
            os.environ[_VARIABLE] = before
        from ray_async.gpu.fake import memory, streams

        memory.forget()
        streams.forget()
        _process.initialised_in = 0


def machine() -> FakeMachine:
    """The devices of this machine.

    Raises:
        FakeDeviceError: there are none: `use` has not been called.
    """
    found = os.environ.get(_VARIABLE)
    if found is None:
        raise FakeDeviceError("no fake device: call ray_async.gpu.fake.use(directory) before init()")
    facts = json.loads(found)
    return FakeMachine(facts["directory"], tuple(facts["uuids"]), facts["peers"], facts["size"])


def initialise() -> None:
    """What the first call of a device library does in a process.

    Raises:
        FakeDeviceError: a parent of this process has done so before it forked.
    """
    pid = os.getpid()
    if _process.initialised_in == pid:
        return
    if _process.initialised_in:
        raise FakeDeviceError("initialization error: the parent of this process had initialised the device library")
    _process.visible = _visible(machine().uuids, os.environ.get(_VISIBLE))
    _process.initialised_in = pid


def visible_devices() -> tuple[str, ...]:
    """UUIDs of the devices that this process sees; its number of a device is the place in this list."""
    initialise()
    return _process.visible


def _visible(uuids: tuple[str, ...], names: str | None) -> tuple[str, ...]:
    whole = [uuid for uuid in uuids if uuid.startswith("GPU-")]
    if names is None:
        return tuple(whole)
    found: list[str] = []
    for name in (part.strip() for part in names.split(",")):
        if name.isdigit() and int(name) < len(whole):
            uuid = whole[int(name)]
        elif name in uuids:
            uuid = name
        else:
            break
        found.append(uuid)
    return tuple(found)


def count(call: str) -> None:
    """Note a call."""
    with _process.lock:
        _process.counts[call] += 1


def counts() -> dict[str, int]:
    """How often this process has made which calls."""
    with _process.lock:
        return dict(_process.counts)


def reset_counts() -> None:
    """Begin to count anew."""
    with _process.lock:
        _process.counts.clear()
