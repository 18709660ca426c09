"""Metrics of parallel iterators: counts, times and notes of their operators."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

__all__ = ("LatencyTimer", "MetricsContext", "SharedMetrics")


class LatencyTimer:
    """A context manager that adds up how long its body takes.

    Attributes:
        count: How often it has run.
        total: Seconds in all.
    """

    def __init__(self) -> None:
        self.count = 0
        self.total = 0.0
        self._started = 0.0

    @property
    def mean(self) -> float:
        """Seconds for one run; 0 before the first."""
        return self.total / self.count if self.count else 0.0

    def __enter__(self) -> LatencyTimer:
        self._started = time.perf_counter()
        return self

    def __exit__(self, *_: object) -> None:
        self.total += time.perf_counter() - self._started
        self.count += 1


class MetricsContext:
    """Metrics of one chain of local iterators; functions reach it through ``LocalIterator.get_metrics()``.

    Attributes:
        counters: Numbers by name, 0 at first.
        timers: Timers by name.
        info: Anything else, by name.
        current_actor: The actor that the present item came from, under ``gather_async()``.
    """

    def __init__(self) -> None:
        self.counters: defaultdict[str, float] = defaultdict(int)
        self.timers: defaultdict[str, LatencyTimer] = defaultdict(LatencyTimer)
        self.info: dict[str, Any] = {}
        self.current_actor: Any = None

    def save(self) -> dict[str, Any]:
        """Give counters and info as plain values; timers belong to the process."""
        return {"counters": dict(self.counters), "info": dict(self.info), "timers": None}

    def restore(self, values: Mapping[str, Any]) -> None:
        """Take over what ``save`` gave; timers start anew."""
        self.counters.clear()
        self.counters.update(values["counters"])
        self.timers.clear()
        self.info = dict(values["info"])


class SharedMetrics:
    """The metrics of a chain, or of the chain that it has become part of by a union.

    Args:
        metrics: The chain's own; new ones by default.
        parents: Chains that from now on count into this one.
    """

    def __init__(self, metrics: MetricsContext | None = None, parents: Sequence[SharedMetrics] = ()) -> None:
        self._own = metrics or MetricsContext()
        self._joined: SharedMetrics | None = None
        for parent in parents:
            parent._joined = self

    def get(self) -> MetricsContext:
        """Give the metrics that count."""
        shared = self
        while shared._joined is not None:
            shared = shared._joined
        return shared._own
