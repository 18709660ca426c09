"""Points in time, by which a hand-over says when its memory had been written.

A process has a bounded number of events that other processes can wait for. Each hand-over takes one, records it in its
stream and gives it back when nobody refers to the hand-over any more: only then is it recorded again, so it cannot
satisfy a wait for something older. Beside each event there is a word in a file of the session that says for which
hand-over it has last been seen to have happened: what is known to be done outlives the process, and needs no wait.
"""

from __future__ import annotations

import contextlib
import mmap
import os
import threading
from typing import Any, NamedTuple

import numpy as np

from ray_async.gpu.backend import DeviceBackend
from ray_async.gpu.identity import ProcessIdentity

__all__ = ("MAX_EVENTS", "Point", "PointReader", "Points")

MAX_EVENTS = 4096
_BYTES = 8 * MAX_EVENTS


class Point(NamedTuple):
    """What travels of a point in time.

    Args:
        process: whose event it is.
        slot: which of its events.
        turn: which use of the event.
        handle: by which other processes open it.
    """

    process: ProcessIdentity
    slot: int
    turn: int
    handle: bytes


class _Event:
    __slots__ = ("device", "event", "handle", "slot", "turn")

    def __init__(self, slot: int, event: Any, handle: bytes, device: int) -> None:
        self.slot = slot
        self.event = event
        self.handle = handle
        self.device = device
        self.turn = 0


class Points:
    """The points of this process.

    Args:
        backend: makes the events.
        process: this one.
        directory: of the session's files about GPUs.
        limit: events at most.
    """

    def __init__(
        self, backend: DeviceBackend, process: ProcessIdentity, directory: str, limit: int = MAX_EVENTS
    ) -> None:
        self._backend = backend
        self._process = process
        self._limit = min(limit, MAX_EVENTS)
        self._lock = threading.Lock()
        self._free: dict[int, list[_Event]] = {}
        self._used: dict[int, tuple[_Event, int]] = {}  # with the turn: the event itself may be in its next one
        self._made = 0
        path = os.path.join(directory, _file_name(backend.name, process))
        fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            os.ftruncate(fd, _BYTES)
            self._map = mmap.mmap(fd, _BYTES)
        finally:
            os.close(fd)
        self._done = np.frombuffer(self._map, np.uint64)

    def mark(self, device: int, stream: Any) -> Point | None:
        """A point after all that is in a stream now; None if it has been waited for, since all events are taken."""
        event = self._take(device)
        if event is None:
            single = self._backend.new_event(device)
            self._backend.record(single, stream)
            self._backend.await_event(single)
            return None
        self._backend.record(event.event, stream)
        with self._lock:  # not before it is recorded: who sweeps would take the last turn's end for this one's
            self._used[event.slot] = event, event.turn
        return Point(self._process, event.slot, event.turn, event.handle)

    def _take(self, device: int) -> _Event | None:
        with self._lock:
            free = self._free.setdefault(device, [])
            event = free.pop() if free else None
            slot = self._made
            if event is None:
                if slot >= self._limit:
                    return None
                self._made += 1
        if event is None:
            made = self._backend.new_event(device)
            event = _Event(slot, made, self._backend.event_handle(made), device)
        event.turn += 1
        return event

    def local_event(self, point: Point) -> Any:
        """The event behind a point of this process, which the caller's hand-over keeps from being used again."""
        with self._lock:
            return self._used[point.slot][0].event

    def sweep(self) -> int:
        """Note which events have happened; returns how many have not."""
        with self._lock:
            used = list(self._used.values())
        missing = 0
        for event, turn in used:
            if self._done[event.slot] != turn:
                if self._backend.happened(event.event):
                    self._done[event.slot] = turn
                else:
                    missing += 1
        return missing

    def is_done(self, point: Point) -> bool:
        """Whether a point of this process has been seen to lie in the past."""
        return bool(self._done[point.slot] >= point.turn)

    def give_back(self, point: Point) -> bool:
        """Let an event be used again that nobody waits for any more; False while it has not happened."""
        with self._lock:
            event, _ = self._used[point.slot]
        if self._done[point.slot] != point.turn:
            if not self._backend.happened(event.event):
                return False
            self._done[point.slot] = point.turn
        with self._lock:
            del self._used[point.slot]
            self._free[event.device].append(event)
        return True

    def await_all(self) -> None:
        """Wait for all that has not happened."""
        with self._lock:
            used = list(self._used.values())
        for event, turn in used:
            self._backend.await_event(event.event)
            self._done[event.slot] = turn

    def counts(self) -> tuple[int, int]:
        """Events made, and those in use."""
        with self._lock:
            return self._made, len(self._used)

    def close(self) -> None:
        """Unmap the file; it stays for others to read."""
        del self._done
        with contextlib.suppress(BufferError):  # a sweep in another thread still looks at it
            self._map.close()


class PointReader:
    """What other processes said of their points.

    Args:
        backend: opens the events.
        directory: of the session's files about GPUs.
    """

    def __init__(self, backend: DeviceBackend, directory: str) -> None:
        self._backend = backend
        self._directory = directory
        self._lock = threading.Lock()
        self._done: dict[ProcessIdentity, Any] = {}
        self._events: dict[tuple[ProcessIdentity, int, int], Any] = {}

    def is_done(self, point: Point) -> bool:
        """Whether a point is known to lie in the past."""
        with self._lock:
            done = self._done.get(point.process)
        if done is None:
            path = os.path.join(self._directory, _file_name(self._backend.name, point.process))
            with open(path, "rb") as file:
                done = np.frombuffer(mmap.mmap(file.fileno(), _BYTES, prot=mmap.PROT_READ), np.uint64)
            with self._lock:
                self._done[point.process] = done
        return bool(done[point.slot] >= point.turn)

    def event(self, point: Point, device: int) -> Any:
        """The event behind a point, opened once."""
        key = point.process, point.slot, device
        with self._lock:
            event = self._events.get(key)
        if event is None:
            event = self._backend.open_event(point.handle, device)
            with self._lock:
                event = self._events.setdefault(key, event)
        return event

    def close(self) -> None:
        """Forget all."""
        with self._lock:
            self._done.clear()
            self._events.clear()


def _file_name(backend: str, process: ProcessIdentity) -> str:
    return f"{backend}-{process.pid}-{process.start}.points"
