"""Search data: what the plots of a search show, as plain lists."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ray_async.tune.experiment.trial import Trial
from ray_async.tune.metric import check_mode, flatten, lookup, number

if TYPE_CHECKING:
    from ray_async.tune.results.history import History

__all__ = ("SearchData", "TrialData")


@dataclass(frozen=True)
class TrialData:
    """A trial as plots show it.

    Args:
        name: Its name.
        status: Its state.
        config: Its searched values by path.
        value: Its last metric; NaN if it has none.
        curve: Iterations and metrics that it has reported.
    """

    name: str
    status: str
    config: dict[str, Any]
    value: float
    curve: tuple[list[float], list[float]]


class SearchData:
    """All trials of a search as plots show them.

    Args:
        trials: The trials.
        history: Gives what they have reported.
        metric: The metric.
        mode: ``"min"`` or ``"max"``.
        time_attr: What the curves run over.

    Raises:
        ValueError: No metric or mode.
    """

    def __init__(
        self,
        trials: Sequence[Trial],
        history: History,
        metric: str | None,
        mode: str | None,
        time_attr: str = "training_iteration",
    ) -> None:
        if metric is None or mode is None:
            raise ValueError("a plot needs metric and mode: give them to plot(), or to TuneConfig")
        check_mode(mode, optional=False)
        self.metric, self.mode, self.time_attr = metric, mode, time_attr
        self.trials = [self._trial(trial, history) for trial in trials]

    def _trial(self, trial: Trial, history: History) -> TrialData:
        times, values = [], []
        for row in history.rows(trial.trial_id, trial.last_result.get("training_iteration")):
            time, value = number(lookup(row, self.time_attr)), number(lookup(row, self.metric))
            if time is not None and value is not None and math.isfinite(value):
                times.append(time)
                values.append(value)
        last = number(lookup(trial.last_result, self.metric))
        searched = trial.evaluated_params or flatten(trial.config)
        config = {name: lookup(trial.config, name, default=value) for name, value in searched.items()}
        return TrialData(str(trial), trial.status, config, math.nan if last is None else last, (times, values))

    @property
    def scored(self) -> list[TrialData]:
        """Trials whose last metric is a finite number."""
        return [trial for trial in self.trials if math.isfinite(trial.value)]

    @property
    def best(self) -> TrialData | None:
        """The best trial; None if none has a metric."""
        choose = min if self.mode == "min" else max
        return choose(self.scored, key=lambda trial: trial.value, default=None)

    def best_so_far(self) -> list[float]:
        """The best metric up to each trial, in the order in which these were made; NaN before the first."""
        best, found = math.nan, []
        better = min if self.mode == "min" else max
        for trial in self.trials:
            if math.isfinite(trial.value):
                best = trial.value if math.isnan(best) else better(best, trial.value)
            found.append(best)
        return found

    def parameters(self) -> list[str]:
        """Paths of parameters that differ among trials."""
        names = list(dict.fromkeys(name for trial in self.trials for name in trial.config))
        return [name for name in names if len({repr(trial.config.get(name)) for trial in self.trials}) > 1]
