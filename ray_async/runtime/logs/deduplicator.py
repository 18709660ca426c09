"""One line in place of many that different workers print at about the same time, or one record in place of many."""

from __future__ import annotations

import itertools
import os
import re
import time
from collections.abc import Callable, Mapping

from ray_async.config import (
    DEDUP_LOGS,
    DEDUP_LOGS_AGG_WINDOW_S,
    DEDUP_LOGS_ALLOW_REGEX,
    DEDUP_LOGS_SKIP_REGEX,
    Settings,
)
from ray_async.runtime.logs.line import LogLine

__all__ = ("Deduplicator",)

_VARYING = re.compile(r"0x[0-9a-fA-F]+|\b[0-9a-fA-F]{8,}\b|\d+")
_HAS_WORDS = re.compile(r"[^\W\d_]")


class _Group:
    """Lines of one pattern. `last` and `count` are of those held back since the first was shown."""

    __slots__ = ("count", "last", "since", "source")

    def __init__(self, since: float, source: tuple[str | None, int]) -> None:
        self.since = since
        self.source = source
        self.last: LogLine | None = None
        self.count = 0


class Deduplicator:
    """Shows the first line of a pattern at once and counts its repetitions by other processes for a while.

    Two lines have the same pattern if they differ in numbers and hexadecimal words only. A process that repeats itself
    alone is shown in full, and so are lines without words.

    Args:
        window_s: seconds for which repetitions are held back and counted.
        allow: lines in which this matches are always shown.
        skip: lines in which this matches are never shown.
        enabled: whether repetitions are held back at all.
        clock: a monotonic clock, in seconds.
    """

    def __init__(
        self,
        window_s: float = 5.0,
        allow: str | None = None,
        skip: str | None = None,
        *,
        enabled: bool = True,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._window = window_s
        self._allow = re.compile(allow) if allow else None
        self._skip = re.compile(skip) if skip else None
        self._enabled = enabled
        self._clock = clock
        self._groups: dict[str, _Group] = {}
        self._explained = False

    @classmethod
    def from_environ(
        cls, environ: Mapping[str, str] = os.environ, clock: Callable[[], float] = time.monotonic
    ) -> Deduplicator:
        """Make one as `RAY_DEDUP_LOGS`, `RAY_DEDUP_LOGS_AGG_WINDOW_S`, `_ALLOW_REGEX` and `_SKIP_REGEX` ask for."""
        settings = Settings(environ=environ)
        return cls(
            window_s=settings.get(DEDUP_LOGS_AGG_WINDOW_S),
            allow=settings.get(DEDUP_LOGS_ALLOW_REGEX),
            skip=settings.get(DEDUP_LOGS_SKIP_REGEX),
            enabled=settings.get(DEDUP_LOGS),
            clock=clock,
        )

    def feed(self, line: LogLine) -> list[LogLine]:
        """Take a line and return the lines to show now: groups whose time is over, then perhaps this line."""
        shown = self.expire()
        if self._skip is not None and self._skip.search(line.text):
            return shown
        if not self._holds_back(line):
            shown.append(line)
        return shown

    def expire(self) -> list[LogLine]:
        """Return one line for each group whose window is over; to be called now and then."""
        deadline = self._clock() - self._window
        # Groups are in the order of their age, so that a flood of different lines costs each of them one look.
        over = [*itertools.takewhile(lambda pattern: self._groups[pattern].since <= deadline, self._groups)]
        return self._close(over)

    def flush(self) -> list[LogLine]:
        """Return one line for each group that holds something back, whatever its age."""
        return self._close(list(self._groups))

    def next_deadline(self) -> float | None:
        """When `expire` will have something to do, by the clock; None if nothing is held back."""
        return min((group.since + self._window for group in self._groups.values() if group.count), default=None)

    def _holds_back(self, line: LogLine) -> bool:
        if not self._enabled or not _HAS_WORDS.search(line.text):
            return False
        if self._allow is not None and self._allow.search(line.text):
            return False
        group = self._groups.setdefault(_VARYING.sub("#", line.text), _Group(self._clock(), line.source))
        if group.source == line.source and not group.count:
            return False
        group.last = line
        group.count += 1
        return True

    def _close(self, patterns: list[str]) -> list[LogLine]:
        shown = []
        for pattern in patterns:
            group = self._groups.pop(pattern)
            if group.last is None:
                continue
            shown.append(group.last if group.count == 1 else self._summary(group.last, group.count))
        return shown

    def _summary(self, line: LogLine, count: int) -> LogLine:
        hint = "" if self._explained else " (RAY_DEDUP_LOGS=0 shows every line)"
        self._explained = True
        return line.replace(text=f"{line.text} [repeated {count}x across cluster]{hint}")
