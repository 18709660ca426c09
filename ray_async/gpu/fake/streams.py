"""Streams and events of fake devices.

One thread of each process is its devices: it goes through the streams, and each stream's operations in their order. A
held stream stands still until it is let go. An event has two words in a file that other processes map: how often it has
been recorded, and which of these has been reached; a wait is for what was recorded when it was asked for.
"""

from __future__ import annotations

import json
import mmap
import os
import threading
from collections import deque
from collections.abc import Callable
from typing import Any

import numpy as np

from ray_async.gpu.fake.machine import FakeDeviceError, count, initialise, machine
from ray_async.gpu.identity import ProcessIdentity, own_identity

__all__ = ("Event", "Stream", "current_stream", "default_stream", "forget", "open_event")

_MAX_EVENTS = 1 << 16
_REMOTE_S = 0.0005  # between looks at another process's event
_Operation = Callable[[], bool]


class Stream:
    """Operations that happen one after the other, some time after they were asked for.

    Args:
        device: the process's number of the device.
    """

    def __init__(self, device: int = 0) -> None:
        self.device = device
        self._operations: deque[_Operation] = deque()
        self._held = False
        self._error: BaseException | None = None
        self._outer: list[Stream | None] = []

    def launch(self, kernel: Callable[[], None]) -> None:
        """Have a function called when the stream comes to it."""
        initialise()

        def run() -> bool:
            kernel()
            return True

        self.enqueue(run)

    def enqueue(self, operation: _Operation) -> None:
        """Add an operation, which is tried until it answers that it has happened."""
        with _engine.changed:
            self._operations.append(operation)
        _engine.look_at(self)

    def hold(self) -> None:
        """Stand still."""
        self._held = True

    def let_go(self) -> None:
        """Go on."""
        self._held = False
        _engine.look_at(self)

    def synchronize(self) -> None:
        """Wait until all that is in the stream now has happened.

        Raises:
            FakeDeviceError: an operation has failed.
        """
        count("synchronize_stream")
        reached = threading.Event()

        def reach() -> bool:
            reached.set()
            return True

        self.enqueue(reach)
        reached.wait()
        if self._error is not None:
            error, self._error = self._error, None
            raise FakeDeviceError(str(error)) from error

    def step(self) -> bool | None:
        """Try the first operation: True when it has happened, False when it cannot yet, None when there is none."""
        if self._held or not self._operations:
            return None
        try:
            happened = self._operations[0]()
        except Exception as error:  # of a kernel: like a real one's, it is told at the next wait
            self._error, happened = error, True
        if happened:
            self._operations.popleft()
        return happened

    def __enter__(self) -> Stream:
        self._outer.append(getattr(_current, "stream", None))
        _current.stream = self
        return self

    def __exit__(self, *error: object) -> None:
        _current.stream = self._outer.pop()


class _Engine:
    """The thread that is this process's devices; it ends when there is nothing to do."""

    def __init__(self) -> None:
        self.changed = threading.Condition(threading.RLock())
        self._streams: list[Stream] = []
        self._thread: threading.Thread | None = None

    def look_at(self, stream: Stream) -> None:
        with self.changed:
            if stream not in self._streams:
                self._streams.append(stream)
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="fake device", daemon=True)
                self._thread.start()
            self.changed.notify()

    def _run(self) -> None:
        while True:
            with self.changed:
                streams = list(self._streams)
            steps = [stream.step() for stream in streams]
            with self.changed:
                for stream, step in zip(streams, steps, strict=True):
                    if step is None and stream.step() is None:
                        self._streams.remove(stream)
                if not self._streams:
                    self._thread = None
                    return
                if True not in steps:
                    self.changed.wait(_REMOTE_S)


_engine = _Engine()
_current = threading.local()
_default: dict[int, Stream] = {}


def default_stream(device: int) -> Stream:
    """The stream of those that name none."""
    return _default.setdefault(device, Stream(device))


def current_stream(device: int = 0) -> Stream:
    """The calling thread's stream: that of the innermost `with`, else the default one."""
    stream: Stream | None = getattr(_current, "stream", None)
    return default_stream(device) if stream is None or stream.device != device else stream


class _Words:
    """The events of this process, in one file."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.path = os.path.join(machine().directory, f"{os.getpid()}-events")
        fd = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        try:
            os.ftruncate(fd, 16 * _MAX_EVENTS)
            self.words: Any = np.frombuffer(mmap.mmap(fd, 16 * _MAX_EVENTS), np.uint64).reshape(-1, 2)
        finally:
            os.close(fd)
        self._next = 0
        self.free: deque[int] = deque()

    def take(self) -> int:
        with self._lock:
            if self.free:
                slot = self.free.popleft()
                self.words[slot] = 0
                return slot
            if self._next >= _MAX_EVENTS:
                raise FakeDeviceError("too many events")
            self._next += 1
            return self._next - 1


_own_words: list[_Words] = []
_words_lock = threading.Lock()


def _words() -> _Words:
    with _words_lock:
        if not _own_words:
            _own_words.append(_Words())
        return _own_words[0]


def forget() -> None:
    """Forget all streams and events: the machine is gone."""
    _own_words.clear()
    _default.clear()


class Event:
    """A point in a stream."""

    def __init__(self) -> None:
        initialise()
        count("new_event")
        words = _words()
        self._slot = words.take()
        self._words = words
        self._pair = self._words.words[self._slot]

    def __del__(self) -> None:
        if hasattr(self, "_words"):  # there were none left
            self._words.free.append(self._slot)

    @property
    def handle(self) -> bytes:
        """By which other processes open it."""
        return json.dumps([self._words.path, self._slot, *own_identity()]).encode()

    def record(self, stream: Stream) -> None:
        """Happen when the stream comes to here."""
        count("record")
        self._pair[0] += 1
        pair, turn = self._pair, int(self._pair[0])

        def happen() -> bool:
            pair[1] = max(int(pair[1]), turn)
            return True

        stream.enqueue(happen)

    def happened(self) -> bool:
        """Whether the last record has been reached."""
        return bool(self._pair[1] >= self._pair[0])

    def wait(self, stream: Stream) -> None:
        """Have a stream wait for the last record."""
        count("wait")
        _wait_in(stream, self._pair, None)


class _RemoteEvent:
    def __init__(self, handle: bytes) -> None:
        path, slot, pid, start = json.loads(handle)
        self._owner = ProcessIdentity(pid, start)
        with open(path, "rb") as file:
            mapped = mmap.mmap(file.fileno(), 16 * _MAX_EVENTS, prot=mmap.PROT_READ)
        self._pair = np.frombuffer(mapped, np.uint64).reshape(-1, 2)[slot]

    def happened(self) -> bool:
        return bool(self._pair[1] >= self._pair[0])

    def wait(self, stream: Stream) -> None:
        count("wait")
        _wait_in(stream, self._pair, self._owner)


def open_event(handle: bytes) -> Any:
    """Another process's event."""
    count("open_event")
    return _RemoteEvent(handle)


def _wait_in(stream: Stream, pair: Any, owner: ProcessIdentity | None) -> None:
    turn = int(pair[0])

    def passed() -> bool:
        # The kernels of a process that has ended come to nothing, and nobody waits for them any more.
        return bool(pair[1] >= turn) or (owner is not None and not os.path.exists(f"/proc/{owner.pid}"))

    stream.enqueue(passed)
