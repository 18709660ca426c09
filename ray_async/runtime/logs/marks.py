"""Marks in a worker's output that say whose it is from here on; they stand in the stream itself, so order is kept."""

from __future__ import annotations

import re

__all__ = ("MarkReader", "mark")

_START, _END = b"\x1eray_async:", b"\x1e"
_MARK = re.compile(rb"\x1eray_async:([^\x1e\n]*)\x1e")
_MAX = 512


def mark(name: str) -> str:
    """The mark for the name of a task."""
    clean = "".join(c for c in name if c.isprintable())[:64]
    return f"{_START.decode()}{clean}{_END.decode()}"


class MarkReader:
    """Takes the marks out of a stream that arrives in pieces."""

    def __init__(self) -> None:
        self._held = b""

    def feed(self, data: bytes) -> list[tuple[str | None, bytes]]:
        """Cut data at marks: pairs of the name that holds from here on (None: as before) and the bytes."""
        if not self._held and _END not in data:
            return [(None, data)]
        data = self._held + data
        self._held = b""
        start = data.rfind(_END)
        tail = data[start:] if start >= 0 else b""
        # A mark that has not come as a whole; a lone byte of the user's is let go with what follows it.
        if tail and len(tail) < _MAX and b"\n" not in tail and _may_become_mark(data, start):
            data, self._held = data[:start], tail
        first, *rest = _MARK.split(data)
        pieces: list[tuple[str | None, bytes]] = [(None, first)] if first else []
        pieces += [(name.decode("utf-8", "replace"), text) for name, text in zip(rest[::2], rest[1::2], strict=True)]
        return pieces

    def flush(self) -> bytes:
        """What is held back at the end of the stream."""
        held, self._held = self._held, b""
        return held


def _may_become_mark(data: bytes, start: int) -> bool:
    """Whether what begins at ``start``, with a byte that begins or ends a mark, is the beginning of one."""
    tail = data[start:]
    if any(match.end() == start + 1 for match in _MARK.finditer(data)):
        return False
    return tail.startswith(_START) or _START.startswith(tail)
