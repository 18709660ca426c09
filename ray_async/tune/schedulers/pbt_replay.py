"""Population based training replayed: one trial takes the configs that a trial of an earlier search went through."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any, NamedTuple

from ray_async.tune.metric import number
from ray_async.tune.schedulers.trial_scheduler import TrialController, TrialScheduler

if TYPE_CHECKING:
    from ray_async.tune.experiment.trial import Trial

__all__ = ("PopulationBasedTrainingReplay",)


class _Change(NamedTuple):
    """A change of the config.

    Args:
        iteration: Training iteration at which it came.
        config: The config from then on.
    """

    iteration: int
    config: dict[str, Any]


class PopulationBasedTrainingReplay(TrialScheduler):
    """Gives a trial the schedule of configs that a trial of an earlier population has found; trials need checkpoints.

    Args:
        policy_file: The file ``pbt_policy_<trial id>.txt`` that `PopulationBasedTraining` has written into the
            directory of its experiment.

    Raises:
        ValueError: No such file, or one that holds something else.

    Example:
        >>> replay = PopulationBasedTrainingReplay("~/ray_results/pbt/pbt_policy_00000.txt")  # doctest: +SKIP
    """

    def __init__(self, policy_file: str | os.PathLike[str]) -> None:
        path = os.path.expanduser(os.fspath(policy_file))
        if not os.path.exists(path):
            raise ValueError(f"there is no policy file {path}")
        first, self._changes = _read(path)
        self.config: dict[str, Any] = first
        self._next: dict[str, int] = {}
        self.num_perturbations = 0

    def on_trial_add(self, tune_controller: TrialController, trial: Trial) -> None:
        self._next.setdefault(trial.trial_id, 0)
        trial.config.update(self.config)

    def on_trial_result(self, tune_controller: TrialController, trial: Trial, result: dict[str, Any]) -> str:
        at = self._next[trial.trial_id]
        iteration = number(result.get("training_iteration"))
        if at >= len(self._changes) or iteration is None or iteration < self._changes[at].iteration:
            return TrialScheduler.CONTINUE
        change = self._changes[at]
        self._next[trial.trial_id] = at + 1
        self.num_perturbations += 1
        tag = f"{trial.experiment_tag.partition('@')[0]}@replay{at + 1}"
        # It saves itself, and goes on from there with the new config.
        tune_controller.pause_trial(trial)
        tune_controller.exploit(trial, trial, {**trial.config, **change.config}, tag)
        return TrialScheduler.NOOP

    def debug_string(self) -> str:
        return f"PopulationBasedTraining replay: {self.num_perturbations} of {len(self._changes)} changes."


def _read(path: str) -> tuple[dict[str, Any], list[_Change]]:
    """The first config of a policy file, and the changes."""
    with open(path) as file:
        lines = [line for line in file if line.strip()]
    steps: list[_Change] = []
    first: dict[str, Any] | None = None
    for line in lines:
        try:
            _, _, iteration, _, old, new = json.loads(line)
        except ValueError as error:
            raise ValueError(f"{path} is no policy file: it has the line {line.strip()!r}") from error
        first = old if first is None else first
        steps.append(_Change(int(iteration), new))
    # A lineage of several trials may step back in time where one took over another's checkpoint: the later one counts.
    changes: list[_Change] = []
    for step in steps:
        while changes and changes[-1].iteration >= step.iteration:
            changes.pop()
        changes.append(step)
    return first or {}, changes
