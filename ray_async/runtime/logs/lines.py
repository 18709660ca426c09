"""Bytes of a stream into lines of text."""

from __future__ import annotations

import re

__all__ = ("LineSplitter",)

_CURSOR_MOVES = re.compile(rb"\x1b\[[0-9;]*[A-HJKSTfsu]")


class LineSplitter:
    """Cuts what one stream carries into lines.

    A carriage return overwrites its line, as on a terminal: of a progress bar the last state remains. What moves the
    cursor is removed (colours stay), and so are lines that only served to redraw. Lines are decoded as a whole, so that
    characters that arrive in pieces stay whole; what is no UTF-8 becomes U+FFFD.

    Args:
        max_line_bytes: where longer lines are cut, in bytes.
    """

    def __init__(self, max_line_bytes: int = 64 * 1024) -> None:
        self._max = max_line_bytes
        self._partial = b""
        self._begun = False  # the beginning of the line has been returned already

    def holds_text(self) -> bool:
        """Whether a line has begun that has not ended and is no progress bar."""
        return bool(self._partial) and b"\r" not in self._partial

    def feed(self, data: bytes) -> list[str]:
        """Take bytes and return the lines that they complete."""
        if b"\n" not in data:
            self._partial = self._without_overwritten(self._partial + data)
            return self._cut_overlong()
        *complete, self._partial = (self._partial + data).split(b"\n")
        if self._begun and not complete[0]:
            del complete[0]  # only the end of what has been shown
        self._begun = False
        self._partial = self._without_overwritten(self._partial)
        shown = [(_visible(line), line) for line in complete]
        lines = [piece for text, line in shown if text or not _redraws(line) for piece in self._pieces(text)]
        return lines + self._cut_overlong()

    def take_progress(self) -> list[str]:
        """Return the state of a progress bar that is still being drawn, if there is a new one.

        A line without carriage return that has not ended is `take_text`'s.
        """
        if b"\r" not in self._partial:
            return []
        # The mark stays: the newline that ends the bar later must not make an empty line.
        line, self._partial = _visible(self._partial), b"\r"
        return self._pieces(line) if line else []

    def take_text(self) -> list[str]:
        """Return the beginning of a line that has not ended; what comes next begins another one."""
        if not self.holds_text():
            return []
        self._begun = True
        text, rest = _whole_characters(self._partial)
        self._partial = text
        lines = self.flush()
        self._partial = rest
        return lines

    def flush(self) -> list[str]:
        """Return what remains at the end of the stream."""
        line, self._partial = _visible(self._partial), b""
        return self._pieces(line) if line else []

    def _without_overwritten(self, partial: bytes) -> bytes:
        # Keep one carriage return as the mark of a progress bar, so that hours of updates do not pile up.
        if b"\r" not in partial:
            return partial
        tail = b"\r" if partial.endswith(b"\r") else b""
        return b"\r" + _visible(partial) + tail

    def _cut_overlong(self) -> list[str]:
        if len(self._partial) <= self._max:
            return []
        *full, rest = self._byte_pieces(self._partial)
        self._partial = rest
        return [_decode(piece.lstrip(b"\r")) for piece in full]

    def _pieces(self, line: bytes) -> list[str]:
        return [_decode(piece) for piece in self._byte_pieces(line)]

    def _byte_pieces(self, line: bytes) -> list[bytes]:
        pieces = []
        while len(line) > self._max:
            end = self._max
            # A byte 10xxxxxx continues a character: cut before the byte that starts it.
            while end > self._max - 4 and line[end] & 0xC0 == 0x80:
                end -= 1
            pieces.append(line[:end])
            line = line[end:]
        return [*pieces, line]


def _visible(line: bytes) -> bytes:
    """What a terminal would show once the line ends: the text after its last carriage return."""
    if b"\x1b" in line:
        line = _CURSOR_MOVES.sub(b"", line)
    if b"\r" not in line:
        return line
    line = line.rstrip(b"\r").rpartition(b"\r")[2]
    return line if line.strip() else b""


def _whole_characters(data: bytes) -> tuple[bytes, bytes]:
    """Cut what may be the beginning of a character off the end."""
    for length in range(1, min(4, len(data) + 1)):
        byte = data[-length]
        if byte & 0xC0 == 0xC0:  # begins a character of 2 to 4 bytes
            needed = 2 + (byte >= 0xE0) + (byte >= 0xF0)
            return (data[:-length], data[-length:]) if length < needed else (data, b"")
        if byte < 0x80:
            break
    return data, b""


def _redraws(line: bytes) -> bool:
    return b"\r" in line or b"\x1b" in line


def _decode(line: bytes) -> str:
    return line.decode("utf-8", "replace")
