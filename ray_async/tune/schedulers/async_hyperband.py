"""ASHA: successive halving without waiting.

Rungs lie at ``grace_period * reduction_factor ** k``. A trial that reaches a rung goes on if its metric is among the
best ``1 / reduction_factor`` of those that have reached it so far.

Li et al., "A System for Massively Parallel Hyperparameter Tuning", MLSys 2020, in the variant that stops trials.
"""

from __future__ import annotations

import bisect
import math
import random
from typing import TYPE_CHECKING, Any

from ray_async.tune.metric import MISSING, check_mode, lookup, number, score
from ray_async.tune.result import TRAINING_ITERATION
from ray_async.tune.schedulers.trial_scheduler import FIFOScheduler, TrialController, TrialScheduler

if TYPE_CHECKING:
    from ray_async.tune.experiment.trial import Trial

__all__ = ("ASHAScheduler", "AsyncHyperBandScheduler")


class Bracket:
    """Rungs of one grace period, highest first, with the scores of the trials that have reached them.

    Args:
        min_t: The lowest rung.
        max_t: Time beyond which there is none.
        factor: One of so many goes on.
        s: How many rungs are left out at the bottom.
    """

    def __init__(self, min_t: float, max_t: float, factor: float, s: int) -> None:
        self.factor = factor
        count = int(math.log(max_t / min_t) / math.log(factor) - s + 1 + 1e-9)
        self.rungs: list[tuple[float, dict[str, float]]] = [
            (min_t * factor ** (k + s), {}) for k in reversed(range(max(count, 0)))
        ]
        # The scores of each rung in order, NaN as the worst: there may be thousands.
        self._ordered: list[list[float]] = [[] for _ in self.rungs]

    def judge(self, trial_id: str, time: float, value: float) -> bool:
        """Note a score at the highest rung that is reached, and tell whether the trial goes on.

        Args:
            trial_id: The trial.
            time: How far it is.
            value: Its score; larger is better, NaN is worse than any number.
        """
        for place, (milestone, reached) in enumerate(self.rungs):
            if time < milestone or trial_id in reached:
                continue
            cut = self.cutoff(place)
            reached[trial_id] = value
            bisect.insort(self._ordered[place], -math.inf if math.isnan(value) else value)
            return not math.isnan(value) and (cut is None or value >= cut)
        return True

    def cutoff(self, place: int) -> float | None:
        """The score that is good enough at a rung; None while nobody has got there.

        Args:
            place: Which rung.
        """
        known = self._ordered[place]
        if not known:
            return None
        # The percentile at 1 - 1/factor, linear between neighbours.
        spot = (1 - 1 / self.factor) * (len(known) - 1)
        low, high = known[math.floor(spot)], known[math.ceil(spot)]
        # Between a number and infinity nothing can be interpolated: the lower one decides.
        part = spot - math.floor(spot) if math.isfinite(high - low) else 0.0
        return low + part * (high - low) if part else low

    def describe(self) -> str:
        """The rungs and their cutoffs in words."""
        rungs = enumerate(self.rungs)
        return " | ".join(f"Iter {milestone:.3f}: {self.cutoff(place)}" for place, (milestone, _) in rungs)


class AsyncHyperBandScheduler(FIFOScheduler):
    """ASHA: ends trials at rungs unless they are among the best that have got there so far.

    Args:
        time_attr: The result's key that tells how far a trial is.
        metric: The metric that decides.
        mode: ``"min"`` or ``"max"``.
        max_t: Time at which trials end.
        grace_period: Time that each trial gets at least.
        reduction_factor: One of so many goes on at a rung; above 1.
        brackets: Number of brackets; each further one has one rung less at the bottom.
        stop_last_trials: Whether trials end at ``max_t``.

    Raises:
        AssertionError: A number out of range.

    Example:
        >>> scheduler = AsyncHyperBandScheduler(max_t=81, grace_period=1, reduction_factor=3)
        >>> [milestone for milestone, _ in scheduler.brackets[0].rungs]
        [81, 27, 9, 3, 1]
    """

    judges = True

    def __init__(
        self,
        time_attr: str = "training_iteration",
        metric: str | None = None,
        mode: str | None = None,
        max_t: float = 100,
        grace_period: float = 1,
        reduction_factor: float = 4,
        brackets: int = 1,
        stop_last_trials: bool = True,
    ) -> None:
        _require(max_t > 0, f"max_t must be above 0, but is {max_t}")
        _require(max_t >= grace_period, f"max_t ({max_t}) must not be below grace_period ({grace_period})")
        _require(grace_period > 0, f"grace_period must be above 0, but is {grace_period}")
        _require(reduction_factor > 1, f"reduction_factor must be above 1, but is {reduction_factor}")
        _require(brackets > 0, f"brackets must be above 0, but is {brackets}")
        _require(mode in (None, "min", "max"), f"mode must be 'min' or 'max', but is {mode!r}")
        check_mode(mode)
        self._time_attr = time_attr
        self._metric, self._mode = metric, mode
        self._max_t = max_t
        self._stop_last_trials = stop_last_trials
        self.brackets = [Bracket(grace_period, max_t, reduction_factor, s) for s in range(brackets)]
        self._bracket_of: dict[str, Bracket] = {}
        self._seed = random.getrandbits(64)
        self.num_stopped = 0

    def on_trial_add(self, tune_controller: TrialController, trial: Trial) -> None:
        if self._metric is None or self._mode is None:
            raise ValueError(
                f"{type(self).__name__} needs metric and mode: give them to the scheduler, to TuneConfig or to tune.run"
            )
        if len(self.brackets) == 1:
            self._bracket_of[trial.trial_id] = self.brackets[0]
            return
        # As many trials for a bracket as it takes to fill its rungs.
        sizes = [len(bracket.rungs) for bracket in self.brackets]
        highest = max(sizes)
        weights = [math.exp(size - highest) for size in sizes]
        source = random.Random(f"{self._seed} {trial.trial_id}")
        self._bracket_of[trial.trial_id] = source.choices(self.brackets, weights)[0]

    def on_trial_result(self, tune_controller: TrialController, trial: Trial, result: dict[str, Any]) -> str:
        time = number(lookup(result, self._time_attr))
        metric = self._metric or ""
        if time is None or lookup(result, metric) is MISSING:
            return TrialScheduler.CONTINUE
        if time >= self._max_t and self._stop_last_trials:
            self._judge(trial, time, result)
            self.num_stopped += 1
            return TrialScheduler.STOP
        if self._judge(trial, time, result):
            return TrialScheduler.CONTINUE
        self.num_stopped += 1
        return TrialScheduler.STOP

    def _judge(self, trial: Trial, time: float, result: dict[str, Any]) -> bool:
        value = score(result, self._metric or "", self._mode or "max")
        return self._bracket_of[trial.trial_id].judge(trial.trial_id, time, value)

    def verdicts_at(self, trial: Trial) -> tuple[int, ...] | None:
        bracket = self._bracket_of.get(trial.trial_id)
        is_own = type(self).on_trial_result is AsyncHyperBandScheduler.on_trial_result
        if bracket is None or not is_own or self._time_attr != TRAINING_ITERATION:
            return None
        milestones = {math.ceil(milestone) for milestone, _ in bracket.rungs}
        if self._stop_last_trials:
            milestones.add(math.ceil(self._max_t))
        return tuple(sorted(milestones))

    def on_trial_complete(self, tune_controller: TrialController, trial: Trial, result: dict[str, Any]) -> None:
        time = number(lookup(result, self._time_attr))
        bracket = self._bracket_of.pop(trial.trial_id, None)
        if bracket is None or time is None or lookup(result, self._metric or "") is MISSING:
            return
        bracket.judge(trial.trial_id, time, score(result, self._metric or "", self._mode or "max"))

    def on_trial_error(self, tune_controller: TrialController, trial: Trial) -> None:
        self._bracket_of.pop(trial.trial_id, None)

    def on_trial_remove(self, tune_controller: TrialController, trial: Trial) -> None:
        self._bracket_of.pop(trial.trial_id, None)

    def is_full_length(self, trial: Trial, result: dict[str, Any]) -> bool:
        time = number(lookup(result, self._time_attr))
        return time is not None and time >= self._max_t

    def debug_string(self) -> str:
        rungs = "\n".join(f"Bracket: {bracket.describe()}" for bracket in self.brackets)
        return f"Using AsyncHyperBand: num_stopped={self.num_stopped}\n{rungs}"


ASHAScheduler = AsyncHyperBandScheduler


def _require(condition: bool, message: str) -> None:
    if not condition:
        raise AssertionError(message)
