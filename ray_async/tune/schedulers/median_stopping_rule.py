"""Median stopping: a trial ends whose best value is below the median of the others' averages up to the same time.

Golovin et al., "Google Vizier: A Service for Black-Box Optimization", KDD 2017, section 3.2.1.
"""

from __future__ import annotations

import math
import statistics
from typing import TYPE_CHECKING, Any

from ray_async.tune.metric import MISSING, check_mode, lookup, number, score
from ray_async.tune.schedulers.trial_scheduler import FIFOScheduler, TrialController, TrialScheduler

if TYPE_CHECKING:
    from ray_async.tune.experiment.trial import Trial

__all__ = ("MedianStoppingRule",)


class MedianStoppingRule(FIFOScheduler):
    """Ends trials that are worse than the median.

    Args:
        time_attr: The result's key that tells how far a trial is.
        metric: The metric that decides.
        mode: ``"min"`` or ``"max"``.
        grace_period: Time that each trial gets at least; averages begin after it.
        min_samples_required: How many other trials must have an average at that time.
        min_time_slice: Time that a trial gets at least before it is paused for others, without ``hard_stop``.
        hard_stop: Whether trials end; else they pause while others wait.

    Example:
        >>> scheduler = MedianStoppingRule(time_attr="training_iteration", grace_period=3)
    """

    judges = True

    def __init__(
        self,
        time_attr: str = "time_total_s",
        metric: str | None = None,
        mode: str | None = None,
        grace_period: float = 60.0,
        min_samples_required: int = 3,
        min_time_slice: float = 0,
        hard_stop: bool = True,
    ) -> None:
        check_mode(mode)
        self._time_attr = time_attr
        self._metric, self._mode = metric, mode
        self._grace_period = grace_period
        self._min_samples = min_samples_required
        self._min_time_slice = min_time_slice
        self._hard_stop = hard_stop
        # Time and score of each report, by trial; NaN is kept out.
        self._curves: dict[str, list[tuple[float, float]]] = {}
        self._last_pause: dict[str, float] = {}
        self._stopped = 0

    def on_trial_add(self, tune_controller: TrialController, trial: Trial) -> None:
        if self._metric is None or self._mode is None:
            raise ValueError(
                f"{type(self).__name__} needs metric and mode: give them to the scheduler, to TuneConfig or to tune.run"
            )

    def on_trial_result(self, tune_controller: TrialController, trial: Trial, result: dict[str, Any]) -> str:
        time = number(lookup(result, self._time_attr))
        if time is None or lookup(result, self._metric or "") is MISSING:
            return TrialScheduler.CONTINUE
        value = score(result, self._metric or "", self._mode or "max")
        curve = self._curves.setdefault(trial.trial_id, [])
        if not math.isnan(value):
            curve.append((time, value))
        if time < self._grace_period:
            return TrialScheduler.CONTINUE
        averages = self._averages(time, trial.trial_id)
        if len(averages) < self._min_samples:
            return TrialScheduler.CONTINUE
        # The best of nothing but NaN is worse than anything.
        best = max((value for _, value in curve), default=-math.inf)
        if best >= statistics.median(averages):
            return TrialScheduler.CONTINUE
        if self._hard_stop:
            self._stopped += 1
            return TrialScheduler.STOP
        return self._pause(tune_controller, trial, time)

    def _averages(self, time: float, without: str) -> list[float]:
        """Averages of the other trials between the grace period and a time."""
        averages = []
        for trial_id, curve in self._curves.items():
            if trial_id == without:
                continue
            values = [value for at, value in curve if self._grace_period <= at <= time]
            if values:
                averages.append(sum(values) / len(values))
        return averages

    def _pause(self, tune_controller: TrialController, trial: Trial, time: float) -> str:
        last = self._last_pause.get(trial.trial_id, 0.0)
        others_wait = any(other.status in ("PENDING", "PAUSED") for other in tune_controller.get_live_trials())
        if time - last < self._min_time_slice or not others_wait:
            return TrialScheduler.CONTINUE
        self._last_pause[trial.trial_id] = time
        return TrialScheduler.PAUSE

    def debug_string(self) -> str:
        return f"Using MedianStoppingRule: num_stopped={self._stopped}."
