"""Population based bandits: population based training whose new values a Gaussian process chooses.

Parker-Holder, Nguyen and Roberts, "Provably Efficient Online Hyperparameter Optimization with Population-Based
Bandits", 2020: the process models how much the metric gains per unit of time, forgets what lies far back, and the value
with the highest upper confidence bound is taken; values of the same round count as seen.
"""

from __future__ import annotations

import copy
import random
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ray_async.tune.error import TuneError
from ray_async.tune.metric import lookup, number, score
from ray_async.tune.schedulers.bandit_model import BanditModel
from ray_async.tune.schedulers.pbt import PopulationBasedTraining
from ray_async.tune.schedulers.trial_scheduler import TrialController
from ray_async.tune.search.sample import randint, uniform

if TYPE_CHECKING:
    from ray_async.tune.experiment.trial import Trial

__all__ = ("PB2",)


class PB2(PopulationBasedTraining):
    """Population based bandits; trials need checkpoints.

    Args:
        time_attr: The result's key that tells how far a trial is.
        metric: The metric that decides.
        mode: ``"min"`` or ``"max"``.
        perturbation_interval: Time from one perturbation of a trial to the next.
        hyperparam_bounds: Bounds by key: ``{"lr": [1e-4, 1e-1]}``; two ints make ints, and dicts nest.
        quantile_fraction: Which part of the trials is weak, and which strong; at most 0.5.
        log_config: Whether each trial's changes are written to ``pbt_policy_<trial id>.txt``.
        require_attrs: Whether a report must have the time and the metric.
        synch: Whether trials wait for each other before they are perturbed.
        custom_explore_fn: Gets the new config as a whole, and returns it changed further.

    Raises:
        TuneError: No bounds.
        ValueError: A number out of range, or bounds that are no two ascending numbers.

    Example:
        >>> scheduler = PB2("training_iteration", perturbation_interval=5, hyperparam_bounds={"lr": [1e-4, 0.1]})
    """

    def __init__(
        self,
        time_attr: str = "time_total_s",
        metric: str | None = None,
        mode: str | None = None,
        perturbation_interval: float = 60.0,
        hyperparam_bounds: Mapping[str, Any] | None = None,
        quantile_fraction: float = 0.25,
        log_config: bool = True,
        require_attrs: bool = True,
        synch: bool = False,
        custom_explore_fn: Callable[[dict[str, Any]], dict[str, Any]] | None = None,
    ) -> None:
        if not hyperparam_bounds:
            raise TuneError("PB2 needs hyperparam_bounds, for instance {'lr': [1e-4, 1e-1]}")
        self._bounds = dict(_bounds(hyperparam_bounds))
        super().__init__(
            time_attr=time_attr,
            metric=metric,
            mode=mode,
            perturbation_interval=perturbation_interval,
            hyperparam_mutations=_domains(hyperparam_bounds),
            quantile_fraction=quantile_fraction,
            custom_explore_fn=custom_explore_fn,
            log_config=log_config,
            require_attrs=require_attrs,
            synch=synch,
        )
        # Time, values in the unit cube, and gain per unit of time, of what was observed.
        self._times: list[float] = []
        self._values: list[list[float]] = []
        self._gains: list[float] = []
        # Values that were given and not observed yet.
        self._pending: list[list[float]] = []
        self._before: dict[str, tuple[float, float]] = {}

    def on_trial_result(self, tune_controller: TrialController, trial: Trial, result: dict[str, Any]) -> str:
        time = number(lookup(result, self._time_attr))
        value = score(result, self._metric or "", self._mode or "max")
        if time is not None and np.isfinite(value):
            self._observe(trial, time, value)
        return super().on_trial_result(tune_controller, trial, result)

    def _observe(self, trial: Trial, time: float, value: float) -> None:
        before = self._before.get(trial.trial_id)
        self._before[trial.trial_id] = time, value
        # One that has gone back to a checkpoint, its own or another's, has gained nothing on the way.
        if before is None or time <= before[0]:
            return
        unit = self._unit(trial.config)
        self._times.append(time)
        self._values.append(unit)
        self._gains.append((value - before[1]) / (time - before[0]))
        self._pending = [one for one in self._pending if one != unit]

    def _unit(self, config: Mapping[str, Any]) -> list[float]:
        unit = []
        for name, (low, high) in self._bounds.items():
            value = float(lookup(config, name))
            unit.append(min(max((value - low) / (high - low), 0.0), 1.0))
        return unit

    def _perturb(self, tune_controller: TrialController, trial: Trial, weak: list[Trial], strong: list[Trial]) -> None:
        if trial in weak:
            # Its next result comes after another one's checkpoint: the step between them is no gain.
            self._before.pop(trial.trial_id, None)
        super()._perturb(tune_controller, trial, weak, strong)

    def _explore(self, config: dict[str, Any], source: random.Random) -> tuple[dict[str, Any], dict[str, Any]]:
        new = copy.deepcopy(config)
        generator = np.random.default_rng(source.getrandbits(63))
        if len(self._gains) < 2:
            unit = [float(one) for one in generator.random(len(self._bounds))]
        else:
            model = BanditModel(np.array(self._times), np.array(self._values), np.array(self._gains))
            pending = np.array(self._pending).reshape(-1, len(self._bounds))
            unit = model.best(max(self._times), pending, generator)
        changed: dict[str, Any] = {}
        for (name, (low, high)), place in zip(self._bounds.items(), unit, strict=True):
            value: Any = low + place * (high - low)
            if isinstance(low, int) and isinstance(high, int):
                value = round(value)
            changed[name] = value
            _put(new, name, value)
        # As it will be observed: ints are rounded.
        self._pending.append(self._unit(new))
        return self._custom(new), changed


def _bounds(given: Mapping[str, Any], path: str = "") -> Any:
    """Checked bounds by path."""
    for key, value in given.items():
        name = f"{path}{key}"
        if isinstance(value, Mapping):
            yield from _bounds(value, f"{name}/")
            continue
        pair = isinstance(value, Sequence) and not isinstance(value, str) and len(value) == 2
        if not pair or not all(isinstance(one, (int, float)) for one in value) or not value[0] < value[1]:
            raise ValueError(f"hyperparam_bounds[{name!r}] is [low, high], two ascending numbers, but got {value!r}")
        yield name, (value[0], value[1])


def _domains(given: Mapping[str, Any]) -> dict[str, Any]:
    domains: dict[str, Any] = {}
    for key, value in given.items():
        if isinstance(value, Mapping):
            domains[key] = _domains(value)
        elif all(isinstance(one, int) for one in value):
            domains[key] = randint(value[0], value[1] + 1)
        else:
            domains[key] = uniform(*value)
    return domains


def _put(config: dict[str, Any], name: str, value: Any) -> None:
    *outer, last = name.split("/")
    inner = config
    for part in outer:
        inner = inner[part]
    inner[last] = value
