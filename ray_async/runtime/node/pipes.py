"""The node's ends of one worker's standard output and error."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Sequence
from typing import Any

__all__ = ("WorkerPipes",)

_READ_BYTES = 1 << 16
#: What is read of a dead worker's pipe at most: another process may hold its other end and write on.
_LAST_WORDS = 1 << 20


class WorkerPipes:
    """Reads a worker's output while it lives, and the rest of it once it is dead.

    Args:
        descriptors: the reading ends of stdout and stderr; the node owns them from now on.
        take: called with ``"out"`` or ``"err"`` and what was read.
    """

    def __init__(self, descriptors: Sequence[int], take: Callable[[Any, bytes], None]) -> None:
        self._open = dict(zip(descriptors, ("out", "err"), strict=True))
        self._take = take
        for descriptor in self._open:
            os.set_blocking(descriptor, False)
            asyncio.get_running_loop().add_reader(descriptor, self._read, descriptor)

    def _read(self, descriptor: int) -> int:
        """Take what is there; returns how many bytes that was."""
        try:
            data = os.read(descriptor, _READ_BYTES)
        except BlockingIOError:
            return 0
        if data:
            self._take(self._open[descriptor], data)
        else:
            self._close(descriptor)
        return len(data)

    def finish(self) -> None:
        """The worker is dead: take its last words and close, even if a process that it started holds the other ends."""
        self.drain()
        for descriptor in list(self._open):
            self._close(descriptor)

    def drain(self) -> None:
        """Take what has been written so far, a bounded amount of it."""
        for descriptor in list(self._open):
            left = _LAST_WORDS
            while left > 0 and descriptor in self._open:
                count = self._read(descriptor)
                if count == 0:
                    break
                left -= count

    def _close(self, descriptor: int) -> None:
        asyncio.get_running_loop().remove_reader(descriptor)
        os.close(descriptor)
        del self._open[descriptor]
