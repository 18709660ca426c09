"""HyperBand for BOHB: HyperBand whose milestones the searcher `TuneBOHB` learns of at once.

Falkner, Klein and Hutter, "BOHB: Robust and Efficient Hyperparameter Optimization at Scale", 2018.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ray_async.tune.metric import lookup, number
from ray_async.tune.schedulers.hyperband import HyperBandScheduler
from ray_async.tune.schedulers.trial_scheduler import TrialController

if TYPE_CHECKING:
    from ray_async.tune.experiment.trial import Trial

__all__ = ("HyperBandForBOHB",)


class HyperBandForBOHB(HyperBandScheduler):
    """HyperBand for the searcher `TuneBOHB`: arguments, brackets and errors are those of `HyperBandScheduler`.

    A result at a milestone gets ``hyperband_info`` with the milestone as its budget, by which the searcher's model
    learns of trials that are paused there.

    Example:
        >>> HyperBandForBOHB(max_t=81, reduction_factor=3).debug_string()
        'Using HyperBand: 0 brackets, num_stopped=0.'
    """

    def on_trial_result(self, tune_controller: TrialController, trial: Trial, result: dict[str, Any]) -> str:
        bracket = self._bracket_of[trial.trial_id]
        time = number(lookup(result, self._time_attr))
        if time is not None and time >= bracket.milestone and not bracket.last_ones_go_on:
            result["hyperband_info"] = {"budget": bracket.milestone}
        return super().on_trial_result(tune_controller, trial, result)
