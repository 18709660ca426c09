"""Stoppers by how far a trial, or the search, is."""

from __future__ import annotations

import datetime
import logging
import time
from collections import defaultdict
from typing import Any

from ray_async.tune.stopper.stopper import Stopper

__all__ = ("MaximumIterationStopper", "TimeoutStopper")

_logger = logging.getLogger("ray_async.tune")


class MaximumIterationStopper(Stopper):
    """Ends trials after so many reports.

    Args:
        max_iter: How many.
    """

    def __init__(self, max_iter: int) -> None:
        self._max_iter = max_iter
        self._count: dict[str, int] = defaultdict(int)

    def __call__(self, trial_id: str, result: dict[str, Any]) -> bool:
        self._count[trial_id] += 1
        return self._count[trial_id] >= self._max_iter

    def stop_all(self) -> bool:
        return False


class TimeoutStopper(Stopper):
    """Ends the search after some time, measured from its first report; a restored search has what was left.

    Args:
        timeout: Seconds, or a time delta.

    Raises:
        ValueError: Something else.
    """

    def __init__(self, timeout: float | datetime.timedelta) -> None:
        if isinstance(timeout, datetime.timedelta):
            timeout = timeout.total_seconds()
        if not isinstance(timeout, (int, float)):
            raise ValueError(f"timeout is a number of seconds or a timedelta, but got {timeout!r}")
        self._timeout = float(timeout)
        self._spent = 0.0
        self._last: float | None = None

    def __call__(self, trial_id: str, result: dict[str, Any]) -> bool:
        self.stop_all()
        return False

    def stop_all(self) -> bool:
        now = time.monotonic()
        if self._last is not None:
            self._spent += now - self._last
        self._last = now
        if self._spent < self._timeout:
            return False
        _logger.info("the search ends: its %s seconds are over", self._timeout)
        return True

    def __getstate__(self) -> dict[str, Any]:
        # The clock of another process counts from elsewhere.
        return {**self.__dict__, "_last": None}
