"""Files of log lines, which are written together, a little later."""

from __future__ import annotations

import asyncio
import os
import sys
import threading
from collections import deque
from collections.abc import Callable
from itertools import groupby
from pathlib import Path
from typing import Any

__all__ = ("LogFile",)

_DELAY = 0.1  # seconds that a line may wait for others
_MAX_WAITING_LINES = 250  # lines that wait: to format them takes the loop a part of a millisecond
_LIMIT = 100 * 2**20  # bytes of a file; then the next one begins
_EARLIER_FILES = 5  # earlier files


class LogFile:
    """Appends lines to a file, which is made with the first of them.

    Args:
        path: The file; earlier ones have ``.1``, ``.2`` and so on behind their names.
        limit: The bytes after which a new file begins.
        render: Gives the lines of what else is added than lines, which costs less for many at a time.
    """

    def __init__(self, path: Path, limit: int = _LIMIT, render: Callable[[list[Any]], list[str]] | None = None) -> None:
        self.path = path
        self._limit = limit
        self._render = render
        self._lines: deque[Any] = deque()  # threads append to it while another one takes from it
        self._has_failed = False
        self._timer: asyncio.TimerHandle | None = None
        self._lock = threading.Lock()
        self._descriptor = -1
        self._size = 0

    def add(self, line: Any) -> None:
        """Append a line with its end, or what `render` makes one of, soon; on a loop's thread alone."""
        self._lines.append(line)
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(_DELAY, self._due)
        elif len(self._lines) >= _MAX_WAITING_LINES:
            self.flush()

    def write(self, line: str) -> None:
        """Append a line with its end, and what waits before it, now; from any thread."""
        self._lines.append(line)
        self.flush()

    def _due(self) -> None:
        self._timer = None
        self.flush()

    def flush(self) -> None:
        """Write what waits. What cannot be written is lost, and said once: requests do not end for it."""
        with self._lock:
            lines = [self._lines.popleft() for _ in range(len(self._lines))]
            if not lines:
                return
            data = "".join(self._rendered(lines)).encode("utf-8", "backslashreplace")
            try:
                self._open()
                os.write(self._descriptor, data)
            except OSError as error:
                self._shut()
                if not self._has_failed:
                    self._has_failed = True
                    print(f"Serve cannot write its log {self.path}: {error}", file=sys.stderr)
            else:
                self._size += len(data)

    def _rendered(self, lines: list[Any]) -> list[str]:
        if self._render is None:
            return lines
        found: list[str] = []
        for is_line, items in groupby(lines, _is_line):
            alike = list(items)
            found += alike if is_line else self._render(alike)
        return found

    def _open(self) -> None:
        if self._descriptor >= 0 and self._size >= self._limit:
            self._shut()
            for number in range(_EARLIER_FILES, 0, -1):
                earlier = self._numbered(number - 1)
                if earlier.exists():
                    earlier.replace(self._numbered(number))
        if self._descriptor < 0:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._descriptor = os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o644)
            self._size = os.fstat(self._descriptor).st_size

    def _numbered(self, number: int) -> Path:
        return self.path.with_name(f"{self.path.name}.{number}") if number else self.path

    def _shut(self) -> None:
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    def close(self) -> None:
        """Write what waits, and close the file."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self.flush()
        with self._lock:
            self._shut()


def _is_line(item: Any) -> bool:
    return type(item) is str
