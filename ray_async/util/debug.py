"""Debugging aids: messages that are logged once in a process."""

from __future__ import annotations

import time
from collections.abc import Callable

__all__ = ("OnceGate", "disable_log_once_globally", "enable_periodic_logging", "log_once")


class OnceGate:
    """Lets each key through once, or once a period.

    Args:
        clock: a monotonic clock, in seconds.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._last: dict[str, float] = {}
        self.period_s: float | None = None
        self.enabled = True

    def passes(self, key: str) -> bool:
        """Whether `key` comes for the first time, or for the first time in a period."""
        if not self.enabled:
            return False
        now, last = self._clock(), self._last.get(key)
        if last is not None and (self.period_s is None or now - last < self.period_s):
            return False
        self._last[key] = now
        return True


_gate = OnceGate()


def log_once(key: str) -> bool:
    """Return True the first time that it is asked about `key` in this process.

    Example:
        >>> if log_once("slow_disk"):
        ...     logger.warning("The disk is slow")
    """
    return _gate.passes(key)


def disable_log_once_globally() -> None:
    """Make `log_once` return False from now on, in this process."""
    _gate.enabled = False


def enable_periodic_logging() -> None:
    """Make `log_once` return True once a minute for each key, instead of once."""
    _gate.period_s = 60.0
