"""HyperBand: brackets of trials that are halved together at milestones.

Bracket *s* begins with ``ceil((s_max + 1) / (s + 1) * eta ** s)`` trials, and its first milestone is
``max_t * eta ** -s``. At each milestone those that have reached it wait for the others, and the best ``1 / eta`` of
them go on to ``eta`` times as far. The last milestone of every bracket is ``max_t``.

Li et al., "Hyperband: A Novel Bandit-Based Approach to Hyperparameter Optimization", JMLR 18 (2018).
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from ray_async.tune.error import TuneError
from ray_async.tune.metric import check_mode, lookup, number, rank, score
from ray_async.tune.schedulers.trial_scheduler import TrialController, TrialScheduler

if TYPE_CHECKING:
    from ray_async.tune.experiment.trial import Trial

__all__ = ("Bracket", "HyperBandScheduler")


def milestones(max_t: int, eta: float, s: int) -> list[int]:
    """Milestones of a bracket, ascending; the last one is ``max_t``.

    Args:
        max_t: Time at which trials end.
        eta: One of so many goes on.
        s: The bracket's number: how many halvings there are.

    Example:
        >>> milestones(81, 3, 2), milestones(100, 3, 4)
        ([9, 27, 81], [1, 4, 11, 33, 100])
    """
    found = [max(1, round(max_t * eta ** (k - s))) for k in range(s + 1)]
    return sorted({*found[:-1], max_t})


class Bracket:
    """Trials that are halved together.

    Args:
        max_t: Time at which trials end.
        eta: One of so many goes on.
        s: The bracket's number.
        size: How many trials it takes.
        stop_last_trials: Whether trials end at the last milestone.
    """

    def __init__(self, max_t: int, eta: float, s: int, size: int, stop_last_trials: bool) -> None:
        self.milestones = milestones(max_t, eta, s)
        self.size = size
        self._eta = eta
        self._stop_last_trials = stop_last_trials
        self._rung = 0
        # Trials that are in it, with their score at the present milestone; None: not there yet.
        self.scores: dict[str, float | None] = {}
        self.added = 0
        self.last_ones_go_on = False

    @property
    def is_full(self) -> bool:
        """Whether it takes no more trials."""
        return self.added >= self.size or self._rung > 0

    @property
    def milestone(self) -> int:
        """The present milestone."""
        return self.milestones[self._rung]

    def add(self, trial_id: str) -> None:
        """Take a trial."""
        self.scores[trial_id] = None
        self.added += 1

    def reach(self, trial_id: str, value: float) -> None:
        """Note a trial's score at the present milestone."""
        self.scores[trial_id] = value

    def leave(self, trial_id: str) -> None:
        """Let a trial go that has ended."""
        self.scores.pop(trial_id, None)

    def is_due(self, no_more: bool) -> bool:
        """Tell whether all that can come have reached the milestone.

        Args:
            no_more: Whether no more trials will be made.
        """
        if not self.scores or any(value is None for value in self.scores.values()):
            return False
        return self.is_full or no_more

    def halve(self) -> tuple[list[str], list[str]]:
        """Go on to the next milestone.

        Returns:
            The trials that go on, and those that end.
        """
        order = sorted(self.scores, key=lambda trial_id: rank(self.scores[trial_id] or 0.0), reverse=True)
        if self._rung == len(self.milestones) - 1:
            if self._stop_last_trials:
                self.scores.clear()
                return [], order
            self.last_ones_go_on = True
            return order, []
        keep = max(1, math.floor(len(order) / self._eta + 1e-9))
        self._rung += 1
        self.scores = dict.fromkeys(order[:keep])
        return order[:keep], order[keep:]


class HyperBandScheduler(TrialScheduler):
    """HyperBand: brackets of trials, each halved at its milestones.

    Args:
        time_attr: The result's key that tells how far a trial is.
        metric: The metric that decides.
        mode: ``"min"`` or ``"max"``.
        max_t: Time at which trials end.
        reduction_factor: One of so many goes on at a milestone; above 1.
        stop_last_trials: Whether trials end at ``max_t``.

    Raises:
        AssertionError: A number out of range.

    Example:
        >>> HyperBandScheduler(max_t=81, reduction_factor=3).debug_string()
        'Using HyperBand: 0 brackets, num_stopped=0.'
    """

    lookahead = 1

    def __init__(
        self,
        time_attr: str = "training_iteration",
        metric: str | None = None,
        mode: str | None = None,
        max_t: int = 81,
        reduction_factor: float = 3,
        stop_last_trials: bool = True,
    ) -> None:
        if not max_t > 0:
            raise AssertionError(f"max_t must be above 0, but is {max_t}")
        if not reduction_factor > 1:
            raise AssertionError(f"reduction_factor must be above 1, but is {reduction_factor}")
        check_mode(mode)
        self._time_attr = time_attr
        self._metric, self._mode = metric, mode
        self._max_t, self._eta = int(max_t), reduction_factor
        self._stop_last_trials = stop_last_trials
        self._s_max = math.floor(math.log(self._max_t) / math.log(reduction_factor) + 1e-9)
        self.brackets: list[Bracket] = []
        self._bracket_of: dict[str, Bracket] = {}
        self._next_s = self._s_max
        self.num_stopped = 0

    def on_trial_add(self, tune_controller: TrialController, trial: Trial) -> None:
        if self._metric is None or self._mode is None:
            raise TuneError(
                f"{type(self).__name__} needs metric and mode: give them to the scheduler, to TuneConfig or to tune.run"
            )
        if not self.brackets or self.brackets[-1].is_full:
            self.brackets.append(self._new_bracket())
        bracket = self.brackets[-1]
        bracket.add(trial.trial_id)
        self._bracket_of[trial.trial_id] = bracket

    def _new_bracket(self) -> Bracket:
        s, self._next_s = self._next_s, self._next_s - 1 if self._next_s else self._s_max
        size = math.ceil((self._s_max + 1) / (s + 1) * self._eta**s - 1e-9)
        return Bracket(self._max_t, self._eta, s, size, self._stop_last_trials)

    def on_trial_result(self, tune_controller: TrialController, trial: Trial, result: dict[str, Any]) -> str:
        bracket = self._bracket_of[trial.trial_id]
        time = number(lookup(result, self._time_attr))
        if time is None or time < bracket.milestone or bracket.last_ones_go_on:
            return TrialScheduler.CONTINUE
        bracket.reach(trial.trial_id, score(result, self._metric or "", self._mode or "max"))
        if not bracket.is_due(not tune_controller.more_trials_may_come()):
            return TrialScheduler.PAUSE
        go_on, end = self._halve(bracket, tune_controller, trial)
        if trial.trial_id in end:
            return TrialScheduler.STOP
        # One that has reported past the next milestone as well is judged there at its next report.
        return TrialScheduler.CONTINUE if trial.trial_id in go_on else TrialScheduler.PAUSE

    def _halve(
        self, bracket: Bracket, tune_controller: TrialController, present: Trial | None
    ) -> tuple[list[str], list[str]]:
        """Halve a bracket: those of it that are paused end here, or wait to be chosen."""
        go_on, end = bracket.halve()
        self.num_stopped += len(end)
        ending = set(end)
        for trial in tune_controller.get_live_trials():
            if trial.trial_id in ending:
                self._bracket_of.pop(trial.trial_id, None)
                if trial is not present:
                    tune_controller.stop_trial(trial)
        return go_on, end

    def on_trial_complete(self, tune_controller: TrialController, trial: Trial, result: dict[str, Any]) -> None:
        self._leave(tune_controller, trial)

    def on_trial_error(self, tune_controller: TrialController, trial: Trial) -> None:
        self._leave(tune_controller, trial)

    def on_trial_remove(self, tune_controller: TrialController, trial: Trial) -> None:
        self._leave(tune_controller, trial)

    def _leave(self, tune_controller: TrialController, trial: Trial) -> None:
        bracket = self._bracket_of.pop(trial.trial_id, None)
        if bracket is None:
            return
        bracket.leave(trial.trial_id)
        self._halve_if_due(bracket, tune_controller)

    def _halve_if_due(self, bracket: Bracket, tune_controller: TrialController) -> None:
        if not bracket.last_ones_go_on and bracket.is_due(not tune_controller.more_trials_may_come()):
            self._halve(bracket, tune_controller, None)

    def choose_trial_to_run(self, tune_controller: TrialController) -> Trial | None:
        """The trial that is least far, of those that do not wait for others at a milestone."""
        ready = self._ready(tune_controller)
        if not ready and not tune_controller.more_trials_may_come():
            # No more trials fill the bracket that waits for them.
            for bracket in self.brackets:
                self._halve_if_due(bracket, tune_controller)
            ready = self._ready(tune_controller)
        return min(ready, key=lambda trial: trial.judged_iteration, default=None)

    def _ready(self, tune_controller: TrialController) -> list[Trial]:
        ready = []
        for trial in tune_controller.get_live_trials():
            bracket = self._bracket_of.get(trial.trial_id)
            if trial.status == "PENDING" or (
                trial.status == "PAUSED"
                and not trial.is_saving
                and bracket is not None
                and (bracket.scores.get(trial.trial_id) is None or bracket.last_ones_go_on)
            ):
                ready.append(trial)
        return ready

    def is_full_length(self, trial: Trial, result: dict[str, Any]) -> bool:
        time = number(lookup(result, self._time_attr))
        return time is not None and time >= self._max_t

    def debug_string(self) -> str:
        return f"Using HyperBand: {len(self.brackets)} brackets, num_stopped={self.num_stopped}."
