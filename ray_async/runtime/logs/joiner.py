"""Lines of a process that belong together, such as those of a traceback, into one record."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterable

from ray_async.runtime.logs.line import LogLine

__all__ = ("RecordJoiner",)

_HEADER = re.compile(r"\s*(\+ )?(Exception Group )?Traceback \(most recent call last\):$")
_FRAME = re.compile(r'[\s|]+File "')
_CHAIN = (
    "The above exception was the direct cause of the following exception:",
    "During handling of the above exception, another exception occurred:",
)
_MAX_LINES = 1000


class _Record:
    """The lines so far. `wants_error`: frames were there, and the line with the error has not come."""

    __slots__ = ("is_traceback", "lines", "since", "wants_error")

    def __init__(self, line: LogLine, since: float) -> None:
        self.lines = [line]
        self.since = since
        self.is_traceback = self.wants_error = False
        self._look_at(line.text)

    def _look_at(self, text: str) -> None:
        if _HEADER.match(text) or _FRAME.match(text):
            self.is_traceback = True
            self.wants_error = not text.lstrip().startswith(("+", "|"))  # errors of a group stand within its margin

    def takes(self, text: str) -> bool:
        """Test of a line: it goes on with the record."""
        if len(self.lines) == _MAX_LINES:
            return False
        before = next((line.text for line in reversed(self.lines) if line.text.strip()), "")
        if _HEADER.match(text):
            return before in _CHAIN or (bool(before) and not self.is_traceback)
        if text[:1].isspace() and text.strip():
            return True
        if not text.strip():
            return self.is_traceback and bool(self.lines[-1].text.strip())
        if self.wants_error:
            return True
        return self.is_traceback and text in _CHAIN

    def add(self, line: LogLine, since: float) -> None:
        """Take one more line."""
        self.lines.append(line)
        self.since = since
        if line.text.strip() and not line.text[:1].isspace():
            self.wants_error = False
        self._look_at(line.text)

    def joined(self) -> list[LogLine]:
        """The record as one line with newlines in it; a blank line at its end is a line of its own again."""
        end = len(self.lines)
        while end > 1 and not self.lines[end - 1].text.strip():
            end -= 1
        text = "\n".join(line.text for line in self.lines[:end])
        return [self.lines[0].replace(text=text), *self.lines[end:]]


class RecordJoiner:
    """Makes records of lines: a line and the indented ones that come with it, and tracebacks with all their causes.

    A traceback that may go on is kept until its process prints something else, or nothing for a moment.

    Args:
        patience_s: how long such a moment is, in seconds.
        clock: a monotonic clock, in seconds.
    """

    def __init__(self, patience_s: float = 0.2, clock: Callable[[], float] = time.monotonic) -> None:
        self._patience = patience_s
        self._clock = clock
        self._open: dict[tuple[str | None, int, str], _Record] = {}

    def feed(self, lines: Iterable[LogLine]) -> list[LogLine]:
        """Take lines that came at once, and return the records that are complete."""
        complete: list[LogLine] = []
        now = self._clock()
        fed: dict[tuple[str | None, int, str], None] = {}
        for line in lines:
            key = (*line.source, line.stream)
            fed[key] = None
            record = self._open.get(key)
            if record is not None and record.takes(line.text):
                record.add(line, now)
                continue
            if record is not None:
                complete += record.joined()
            self._open[key] = _Record(line, now)
        for key in fed:
            if not self._open[key].is_traceback:
                complete += self._open.pop(key).joined()
        return complete

    def expire(self) -> list[LogLine]:
        """Return the records that have not grown for a moment; to be called now and then."""
        deadline = self._clock() - self._patience
        return self._close([key for key, record in self._open.items() if record.since <= deadline])

    def flush(self) -> list[LogLine]:
        """Return all that is kept."""
        return self._close(list(self._open))

    def next_deadline(self) -> float | None:
        """When `expire` will have something to return, by the clock; None if nothing is kept."""
        return min((record.since + self._patience for record in self._open.values()), default=None)

    def _close(self, keys: list[tuple[str | None, int, str]]) -> list[LogLine]:
        return [line for key in keys for line in self._open.pop(key).joined()]
