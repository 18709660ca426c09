"""Population based training: weak trials go on from strong ones' checkpoints, with configs that are changed a little.

Jaderberg et al., "Population Based Training of Neural Networks", 2017: truncation selection, perturb or resample.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ray_async.tune.error import TuneError
from ray_async.tune.metric import MISSING, check_mode, lookup, number, rank, score
from ray_async.tune.schedulers.explore import check_mutations, explored, filled_config
from ray_async.tune.schedulers.trial_scheduler import TrialController, TrialScheduler
from ray_async.tune.search.variant_generator import format_vars

if TYPE_CHECKING:
    from ray_async.tune.experiment.trial import Trial

__all__ = ("PopulationBasedTraining",)


@dataclass
class _Member:
    """A trial as the population sees it."""

    original_tag: str
    score: float | None = None
    time: float = 0.0
    perturbed_at: float = 0.0
    # Whether it waits for the others, with ``synch``.
    waits: bool = False


class PopulationBasedTraining(TrialScheduler):
    """Population based training; trials need checkpoints.

    Args:
        time_attr: The result's key that tells how far a trial is.
        metric: The metric that decides.
        mode: ``"min"`` or ``"max"``.
        perturbation_interval: Time from one perturbation of a trial to the next.
        burn_in_period: Time before the first one.
        hyperparam_mutations: What is changed: by key a list, a domain, a function, or a dict of these.
        quantile_fraction: Which part of the trials is weak, and which strong; at most 0.5.
        resample_probability: How often a value is drawn anew instead of changed a little.
        perturbation_factors: What numbers are multiplied by.
        custom_explore_fn: Gets the new config as a whole, and returns it changed further.
        log_config: Whether each trial's changes are written to ``pbt_policy_<trial id>.txt`` in the experiment's
            directory, for `PopulationBasedTrainingReplay`.
        require_attrs: Whether a report must have the time and the metric.
        synch: Whether trials wait for each other before they are perturbed.

    Raises:
        TuneError: Nothing is to be mutated.
        ValueError: A number out of range.

    Example:
        >>> scheduler = PopulationBasedTraining(
        ...     time_attr="training_iteration", perturbation_interval=5, hyperparam_mutations={"lr": [0.1, 0.01, 0.001]}
        ... )
    """

    # A population exists as a whole before its members are compared.
    lookahead = 1_000

    def __init__(
        self,
        time_attr: str = "time_total_s",
        metric: str | None = None,
        mode: str | None = None,
        perturbation_interval: float = 60.0,
        burn_in_period: float = 0.0,
        hyperparam_mutations: Mapping[str, Any] | None = None,
        quantile_fraction: float = 0.25,
        resample_probability: float = 0.25,
        perturbation_factors: Sequence[float] = (1.2, 0.8),
        custom_explore_fn: Callable[[dict[str, Any]], dict[str, Any]] | None = None,
        log_config: bool = True,
        require_attrs: bool = True,
        synch: bool = False,
    ) -> None:
        if not hyperparam_mutations and custom_explore_fn is None:
            raise TuneError("population based training needs hyperparam_mutations or a custom_explore_fn")
        if not 0 <= quantile_fraction <= 0.5:
            raise ValueError(f"quantile_fraction must be from 0 to 0.5, but is {quantile_fraction}")
        if perturbation_interval <= 0:
            raise ValueError(f"perturbation_interval must be above 0, but is {perturbation_interval}")
        check_mutations(hyperparam_mutations or {})
        check_mode(mode)
        self._time_attr = time_attr
        self._metric, self._mode = metric, mode
        self._interval, self._burn_in = perturbation_interval, burn_in_period
        self._mutations = dict(hyperparam_mutations or {})
        self._quantile = quantile_fraction
        self._resample_probability, self._factors = resample_probability, tuple(perturbation_factors)
        self._custom_explore_fn = custom_explore_fn
        self._require_attrs = require_attrs
        self._synch = synch
        self._members: dict[str, _Member] = {}
        self._seed = random.getrandbits(64)
        self._log_config = log_config
        # By trial, the changes that have led to what it is: its own, and those of whose checkpoints it has taken.
        self._policies: dict[str, list[list[Any]]] = {}
        self._new_policies: set[str] = set()
        self.num_perturbations = 0

    def on_trial_add(self, tune_controller: TrialController, trial: Trial) -> None:
        if self._metric is None or self._mode is None:
            raise TuneError(
                f"{type(self).__name__} needs metric and mode: give them to the scheduler, to TuneConfig or to tune.run"
            )
        filled_config(trial.config, self._mutations, self._source(trial.trial_id))
        self._members[trial.trial_id] = _Member(trial.experiment_tag)

    def on_trial_result(self, tune_controller: TrialController, trial: Trial, result: dict[str, Any]) -> str:
        time = number(lookup(result, self._time_attr))
        if time is None or lookup(result, self._metric or "") is MISSING:
            if self._require_attrs:
                raise RuntimeError(
                    f"{type(self).__name__} needs {self._time_attr!r} and {self._metric!r} in each report, but got "
                    f"{sorted(result)}; with require_attrs=False it passes over reports that lack one"
                )
            return TrialScheduler.CONTINUE
        member = self._members[trial.trial_id]
        member.score = score(result, self._metric or "", self._mode or "max")
        member.time = time
        if time < self._burn_in or time - member.perturbed_at < self._interval:
            return TrialScheduler.CONTINUE
        if self._synch:
            member.waits = True
            if not self._all_wait(tune_controller):
                return TrialScheduler.PAUSE
            self._perturb_all(tune_controller)
            return TrialScheduler.CONTINUE if trial.status == "RUNNING" else TrialScheduler.NOOP
        member.perturbed_at = time
        others_wait = any(other.status in ("PENDING", "PAUSED") for other in tune_controller.get_live_trials())
        weak, strong = self._quantiles(tune_controller)
        self._perturb(tune_controller, trial, weak, strong)
        if trial.status != "RUNNING":
            return TrialScheduler.NOOP
        return TrialScheduler.PAUSE if others_wait else TrialScheduler.CONTINUE

    def _quantiles(self, tune_controller: TrialController) -> tuple[list[Trial], list[Trial]]:
        """The weak and the strong trials."""
        scored: list[tuple[tuple[bool, float], Trial]] = []
        for trial in tune_controller.get_live_trials():
            value = self._members[trial.trial_id].score
            if value is not None:
                scored.append((rank(value), trial))
        scored.sort(key=lambda entry: entry[0])
        if len(scored) <= 1:
            return [], []
        size = math.ceil(len(scored) * self._quantile)
        size = min(size, len(scored) // 2)
        trials = [trial for _, trial in scored]
        return trials[:size], trials[len(trials) - size :] if size else []

    def _perturb(self, tune_controller: TrialController, trial: Trial, weak: list[Trial], strong: list[Trial]) -> None:
        if trial in strong:
            tune_controller.save_trial(trial)
            return
        if trial not in weak:
            return
        donors = [donor for donor in strong if donor is not trial and donor.checkpoint is not None]
        if not donors:
            return
        self.num_perturbations += 1
        source = self._source(str(self.num_perturbations))
        donor = source.choice(donors)
        config, changed = self._explore(donor.config, source)
        tag = f"{self._members[trial.trial_id].original_tag}@perturbed"
        if self._log_config:
            self._note_change(trial, donor, tag, config)
        if changed:
            tag = f"{tag}[{format_vars({tuple(name.split('/')): value for name, value in changed.items()})}]"
        tune_controller.exploit(trial, donor, config, tag)

    def _note_change(self, trial: Trial, donor: Trial, tag: str, config: dict[str, Any]) -> None:
        iterations = [one.last_result.get("training_iteration", 0) for one in (trial, donor)]
        step = [tag, donor.experiment_tag, *iterations, donor.config, config]
        self._policies[trial.trial_id] = [*self._policies.get(donor.trial_id, ()), step]
        self._new_policies.add(trial.trial_id)

    def take_policies(self) -> dict[str, list[list[Any]]]:
        """Changes of those trials that have changed since the last call, by trial id."""
        taken = {trial_id: self._policies[trial_id] for trial_id in self._new_policies}
        self._new_policies.clear()
        return taken

    def _source(self, purpose: str) -> random.Random:
        """Random numbers for one purpose: the same in a search that is restored, whatever was drawn before."""
        return random.Random(f"{self._seed} {purpose}")

    def _explore(self, config: dict[str, Any], source: random.Random) -> tuple[dict[str, Any], dict[str, Any]]:
        new, changed = explored(config, self._mutations, self._resample_probability, self._factors, source)
        return self._custom(new), changed

    def _custom(self, new: dict[str, Any]) -> dict[str, Any]:
        """A new config as the user's function changes it further."""
        if self._custom_explore_fn is None:
            return new
        returned = self._custom_explore_fn(new)
        if not isinstance(returned, dict):
            raise TuneError(f"custom_explore_fn must return the new config, but returned {returned!r}")
        return returned

    # Trials that wait for each other.

    def _all_wait(self, tune_controller: TrialController) -> bool:
        return all(self._members[trial.trial_id].waits for trial in tune_controller.get_live_trials())

    def _perturb_all(self, tune_controller: TrialController) -> None:
        weak, strong = self._quantiles(tune_controller)
        trials = tune_controller.get_live_trials()
        for trial in trials:
            member = self._members[trial.trial_id]
            member.waits = False
            member.perturbed_at = member.time
        for trial in trials:
            self._perturb(tune_controller, trial, weak, strong)

    def _left(self, tune_controller: TrialController, trial: Trial) -> None:
        """The others do not wait for one that has ended."""
        self._members[trial.trial_id].waits = False
        if self._synch and tune_controller.get_live_trials() and self._all_wait(tune_controller):
            self._perturb_all(tune_controller)

    def on_trial_complete(self, tune_controller: TrialController, trial: Trial, result: dict[str, Any]) -> None:
        self._left(tune_controller, trial)

    def on_trial_error(self, tune_controller: TrialController, trial: Trial) -> None:
        self._left(tune_controller, trial)

    def choose_trial_to_run(self, tune_controller: TrialController) -> Trial | None:
        """The trial that is least far, of those that do not wait for others."""
        ready = [
            trial
            for trial in tune_controller.get_live_trials()
            if trial.status == "PENDING"
            or (trial.status == "PAUSED" and not trial.is_saving and not self._members[trial.trial_id].waits)
        ]
        return min(ready, key=lambda trial: self._members[trial.trial_id].time, default=None)

    def debug_string(self) -> str:
        return f"PopulationBasedTraining: {self.num_perturbations} perturbations."
