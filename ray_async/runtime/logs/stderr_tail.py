"""The last lines that each worker wrote to stderr, for the report of its death."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable

__all__ = ("StderrTail",)


class StderrTail:
    """Keeps the last lines of each process.

    Args:
        max_lines: lines kept of each.
        max_chars: characters kept of each line.
    """

    def __init__(self, max_lines: int = 20, max_chars: int = 500) -> None:
        self._max_lines = max_lines
        self._max_chars = max_chars
        self._tails: dict[int, deque[str]] = {}

    def add(self, pid: int, lines: Iterable[str]) -> None:
        """Note lines of a process."""
        tail = self._tails.setdefault(pid, deque(maxlen=self._max_lines))
        tail.extend(line[: self._max_chars] for line in lines)

    def get(self, pid: int) -> list[str]:
        """Return the last lines of a process, oldest first."""
        return list(self._tails.get(pid, ()))

    def forget(self, pid: int) -> None:
        """Drop the lines of a process that is gone and reported."""
        self._tails.pop(pid, None)
