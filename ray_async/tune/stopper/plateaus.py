"""Stoppers by results that do not change any more."""

from __future__ import annotations

import math
import statistics
from collections import defaultdict, deque
from collections.abc import Collection
from typing import Any

from ray_async.tune.metric import check_mode, lookup, number
from ray_async.tune.stopper.stopper import Stopper

__all__ = ("ExperimentPlateauStopper", "TrialPlateauStopper")


def _spread(values: Collection[float]) -> float:
    """Standard deviation; infinite where a value is NaN or infinite."""
    return statistics.pstdev(values) if all(math.isfinite(value) for value in values) else math.inf


class TrialPlateauStopper(Stopper):
    """Ends a trial whose metric has stayed the same over its last reports.

    Args:
        metric: The metric's name.
        std: The standard deviation of the last values at or below which a trial ends.
        num_results: How many last values count.
        grace_period: How many reports a trial may make at least.
        metric_threshold: The trial ends only if its metric is that bad, or worse, too; None: always.
        mode: ``"min"`` or ``"max"``, with a threshold.

    Raises:
        ValueError: A threshold without a mode.
    """

    def __init__(
        self,
        metric: str,
        std: float = 0.01,
        num_results: int = 4,
        grace_period: int = 4,
        metric_threshold: float | None = None,
        mode: str | None = None,
    ) -> None:
        if metric_threshold is not None and mode not in ("min", "max"):
            raise ValueError(f"a metric_threshold needs a mode, 'min' or 'max', but mode is {mode!r}")
        self._metric, self._mode = metric, mode
        self._std = std
        self._num_results, self._grace_period = num_results, grace_period
        self._threshold = metric_threshold
        self._count: dict[str, int] = defaultdict(int)
        self._values: dict[str, deque[float]] = {}

    def __call__(self, trial_id: str, result: dict[str, Any]) -> bool:
        value = number(lookup(result, self._metric))
        if value is None:
            return False
        values = self._values.setdefault(trial_id, deque(maxlen=self._num_results))
        values.append(value)
        self._count[trial_id] += 1
        if self._count[trial_id] < self._grace_period or len(values) < self._num_results:
            return False
        if self._threshold is not None:
            # Better than the threshold: a plateau there is what is wanted.
            if self._mode == "min" and value < self._threshold:
                return False
            if self._mode == "max" and value > self._threshold:
                return False
        return _spread(values) <= self._std

    def stop_all(self) -> bool:
        return False


class ExperimentPlateauStopper(Stopper):
    """Ends the search when the best values have stayed the same.

    Args:
        metric: The metric's name.
        std: The standard deviation of the best values at or below which the search ends.
        top: How many best values count.
        mode: ``"min"`` or ``"max"``.
        patience: How many further reports it waits.

    Raises:
        ValueError: A number out of range, or a mode that is neither.
    """

    def __init__(self, metric: str, std: float = 0.001, top: int = 10, mode: str = "min", patience: int = 0) -> None:
        check_mode(mode, optional=False)
        if top <= 1:
            raise ValueError(f"top must be above 1, but is {top}")
        if patience < 0:
            raise ValueError(f"patience must not be below 0, but is {patience}")
        if std <= 0:
            raise ValueError(f"std must be above 0, but is {std}")
        self._metric, self._mode = metric, mode
        self._std, self._top, self._patience = std, top, patience
        self._best: list[float] = []
        self._waited = 0

    def __call__(self, trial_id: str, result: dict[str, Any]) -> bool:
        value = number(lookup(result, self._metric))
        if value is None or value != value:
            return self.stop_all()
        self._best = sorted([*self._best, value], reverse=self._mode == "max")[: self._top]
        self._waited = self._waited + 1 if self._on_plateau() else 0
        return self.stop_all()

    def _on_plateau(self) -> bool:
        return len(self._best) == self._top and _spread(self._best) <= self._std

    def stop_all(self) -> bool:
        return self._on_plateau() and self._waited >= self._patience
