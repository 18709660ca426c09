"""A worker's sys.stdout and sys.stderr: whole lines at once, and marks that say which task prints."""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Callable
from typing import TextIO

from ray_async.runtime.logs.marks import mark

__all__ = ("WorkerStream", "install")


class WorkerStream(io.TextIOWrapper):
    """Writes lines to a descriptor as they end; before text of another task than the last, a mark with its name.

    Args:
        fd: the descriptor, which stays open.
        name: names what the calling thread or asyncio task runs; "" for nothing in particular.
        on_held: called when text is kept back since its line has not ended.
        errors: what becomes of characters that cannot be encoded.
    """

    def __init__(self, fd: int, name: Callable[[], str], on_held: Callable[[], None], errors: str) -> None:
        raw = io.BufferedWriter(io.FileIO(fd, "wb", closefd=False))
        super().__init__(raw, encoding="utf-8", errors=errors, line_buffering=True)
        self._task_name = name
        self._on_held = on_held
        self._marked = ""

    def write(self, text: str, /) -> int:
        """Write text; returns its length."""
        name = self._task_name()
        if name and name != self._marked:
            self._marked = name
            super().write(mark(name))
        length = super().write(text)
        if not text.endswith("\n"):
            self._on_held()
        return length


def install(name: Callable[[], str], on_held: Callable[[], None]) -> None:
    """Make the streams of this process a worker's.

    Args:
        name, on_held: as in `WorkerStream`.
    """
    streams: list[TextIO] = [
        WorkerStream(1, name, on_held, "surrogateescape"),
        WorkerStream(2, name, on_held, "backslashreplace"),
    ]
    sys.stdout, sys.stderr = streams
    sys.__dict__.update(__stdout__=streams[0], __stderr__=streams[1])  # typed as constants, which a worker's are not
    os.environ["RAY_ASYNC_WORKER"] = "1"
