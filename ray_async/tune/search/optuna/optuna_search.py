"""Optuna search: suggestions of a study of Optuna."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ray_async.tune.metric import check_mode, flatten, lookup, number
from ray_async.tune.search.searcher import Searcher, flat_domains, nested

try:
    import optuna
except ModuleNotFoundError as error:
    raise ImportError("OptunaSearch needs Optuna: pip install 'ray_async[tune]'") from error

from optuna.distributions import BaseDistribution
from optuna.trial import TrialState

from ray_async.tune.search.optuna.distributions import Parameter, parameters

__all__ = ("OptunaSearch",)


class OptunaSearch(Searcher):
    """Searches with Optuna: its TPE by default, or any of its samplers.

    A trial that the scheduler stops is PRUNED in the study, with what it had reported; one that fails is FAIL there,
    and so is one that ends at NaN.

    Args:
        space: The search space: domains, or distributions of Optuna, by name; or a function of an Optuna trial that
            calls its ``suggest_...`` and returns further values or None. None takes the search's.
        metric: The metric that is optimised, or several.
        mode: ``"min"`` or ``"max"``, or one for each metric.
        points_to_evaluate: Configs, or parts of configs, that come first; keys may be paths (``"m/lr"``).
        sampler: A sampler of Optuna.
        study_name: Name of the study.
        storage: A storage of Optuna; None keeps the study in memory.
        seed: Seed of the default sampler.
        evaluated_rewards: Values of the points, which then are not run.

    Raises:
        ValueError: A space that Optuna cannot search, or points and rewards that do not fit.

    Example:
        >>> search = OptunaSearch(metric="loss", mode="min", seed=1)
    """

    def __init__(
        self,
        space: Mapping[str, Any] | Callable[[Any], dict[str, Any] | None] | None = None,
        metric: Any = None,
        mode: Any = None,
        points_to_evaluate: Sequence[Mapping[str, Any]] | None = None,
        sampler: Any = None,
        study_name: str | None = None,
        storage: Any = None,
        seed: int | None = None,
        evaluated_rewards: Sequence[float] | None = None,
    ) -> None:
        for one in mode if isinstance(mode, (list, tuple)) else [mode]:
            check_mode(one)
        super().__init__()
        self._metric: Any = metric
        self._mode: Any = mode
        if sampler is not None and not isinstance(sampler, optuna.samplers.BaseSampler):
            raise ValueError(f"sampler is one of Optuna's, but got {sampler!r}")
        self._space = space
        self._points = [dict(point) for point in points_to_evaluate or ()]
        self._rewards = list(evaluated_rewards or ())
        if self._rewards and len(self._rewards) != len(self._points):
            raise ValueError(f"there are {len(self._points)} points and {len(self._rewards)} rewards")
        self._sampler = sampler if sampler is not None else optuna.samplers.TPESampler(seed=seed)
        self._study_name, self._storage = study_name, storage
        self._parameters: dict[str, Parameter] = {}
        self._nest: Mapping[str, Any] | None = None
        self._waiting = 0
        self._study: Any = None
        self._trials: dict[str, Any] = {}

    @property
    def study(self) -> Any:
        """The study; None before the search begins."""
        return self._study

    def set_search_properties(self, metric: Any, mode: Any, config: dict[str, Any], **spec: Any) -> bool:
        if (self._metric and metric) or (self._mode and mode):
            return False
        self._metric, self._mode = metric or self._metric, mode or self._mode
        if self._space is None:
            self._space = config
        elif config and flat_domains(config, "OptunaSearch"):
            return False
        self._begin()
        return True

    def _begin(self) -> None:
        if self._metric is None:
            raise ValueError("OptunaSearch needs metric and mode: give them to it, to TuneConfig or to tune.run")
        modes = self._mode if isinstance(self._mode, (list, tuple)) else [self._mode] * len(self._metrics())
        if not all(modes):
            raise ValueError("OptunaSearch needs a mode: 'min' or 'max'")
        space = self._space
        if isinstance(space, Mapping):
            if any(isinstance(value, BaseDistribution) for value in space.values()):
                self._parameters = parameters(space)
            else:
                self._parameters = parameters(flat_domains(space, "OptunaSearch"))
                self._nest = space
        self._study = optuna.create_study(
            storage=self._storage,
            sampler=self._sampler,
            study_name=self._study_name,
            directions=["minimize" if mode == "min" else "maximize" for mode in modes],
            load_if_exists=True,
        )
        for index, point in enumerate(self._points):
            self._add_point(point, self._rewards[index] if self._rewards else None)

    def _metrics(self) -> list[str]:
        return list(self._metric) if isinstance(self._metric, (list, tuple)) else [str(self._metric)]

    def _add_point(self, point: Mapping[str, Any], reward: float | None) -> None:
        params = self._inner(point)
        if reward is not None:
            self.add_evaluated_point(dict(point), reward)
            return
        self._study.enqueue_trial(params)
        self._waiting += 1

    def _inner(self, point: Mapping[str, Any]) -> dict[str, Any]:
        """A config's values as Optuna has them."""
        if callable(self._space):
            return dict(flatten(point))
        params: dict[str, Any] = {}
        for name, parameter in self._parameters.items():
            value = lookup(point, name, default=_ABSENT)
            if value is not _ABSENT:
                params[name] = parameter.inner(value)
        unknown = set(flatten(point)) - {*self._parameters, *flatten(self._nest or {})}
        unknown = {name for name in unknown if not any(name.startswith(f"{known}/") for known in self._parameters)}
        if unknown:
            raise ValueError(f"points_to_evaluate has {sorted(unknown)}, which the search space has not")
        return params

    def suggest(self, trial_id: str) -> dict[str, Any]:
        self._waiting = max(self._waiting - 1, 0)
        if callable(self._space):
            trial = self._study.ask()
            constants = self._space(trial) or {}
            self._take(trial_id, trial)
            return nested({**trial.params, **constants})
        trial = self._study.ask({name: one.distribution for name, one in self._parameters.items()})
        self._take(trial_id, trial)
        values = {name: self._parameters[name].outer(value) for name, value in trial.params.items()}
        return nested(values, self._nest if self._nest is not None else values)

    def _take(self, trial_id: str, trial: Any) -> None:
        self._trials[trial_id] = trial
        if self._storage is not None:
            trial.set_user_attr(_TRIAL_ID, trial_id)

    def replay(self, trial_id: str, config: dict[str, Any]) -> None:
        if self._storage is not None and self._known(trial_id):
            return
        before = self._waiting
        suggested = self.suggest(trial_id)
        if self._same(suggested, config):
            return
        # The sampler draws otherwise than it did, since it has no seed or is another version.
        self._study.tell(self._trials.pop(trial_id), state=TrialState.FAIL)
        known = self._parameters
        params = dict(flatten(config)) if callable(self._space) else {
            name: known[name].inner(lookup(config, name)) for name in known
        }  # fmt: skip
        self._study.enqueue_trial(params)
        self.suggest(trial_id)
        self._waiting = max(before - 1, 0)

    def _same(self, suggested: Mapping[str, Any], config: Mapping[str, Any]) -> bool:
        names = flatten(suggested) if callable(self._space) else self._parameters
        return all(bool(lookup(suggested, name) == lookup(config, name)) for name in names)

    def _known(self, trial_id: str) -> bool:
        """Take a trial from the storage, if it is there: then the study knows it, and perhaps its end."""
        for frozen in self._study.get_trials(deepcopy=False):
            if frozen.user_attrs.get(_TRIAL_ID) == trial_id:
                if not frozen.state.is_finished():
                    self._trials[trial_id] = optuna.trial.Trial(self._study, frozen._trial_id)
                return True
        return False

    def on_trial_result(self, trial_id: str, result: dict[str, Any]) -> None:
        trial = self._trials.get(trial_id)
        if trial is None or len(self._metrics()) > 1:
            return
        value = number(lookup(result, self._metrics()[0]))
        step = int(result["training_iteration"])
        if value is not None and not math.isnan(value):
            trial.report(value, step=step)

    def on_trial_complete(self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False) -> None:
        trial = self._trials.pop(trial_id, None)
        if trial is None:
            return
        values = [number(lookup(result, name)) for name in self._metrics()] if result and not error else [None]
        if any(value is None or math.isnan(value) for value in values):
            self._study.tell(trial, state=TrialState.FAIL)
        else:
            self._study.tell(trial, values)

    def on_trial_stopped(self, trial_id: str, result: dict[str, Any] | None = None) -> None:
        if len(self._metrics()) > 1:
            self.on_trial_complete(trial_id, result)
            return
        if result and "training_iteration" in result:
            self.on_trial_result(trial_id, result)
        trial = self._trials.pop(trial_id, None)
        if trial is not None:
            self._study.tell(trial, state=TrialState.PRUNED)

    def add_evaluated_point(
        self,
        parameters: dict[str, Any],
        value: float,
        error: bool = False,
        pruned: bool = False,
        intermediate_values: list[float] | None = None,
    ) -> None:
        if self._study is None:
            raise RuntimeError("the search space is not known yet: give OptunaSearch a space and a metric")
        state = TrialState.FAIL if error else TrialState.PRUNED if pruned else TrialState.COMPLETE
        self._study.add_trial(
            optuna.trial.create_trial(
                state=state,
                value=None if error else value,
                params=self._inner(parameters),
                distributions={name: one.distribution for name, one in self._parameters.items()},
                intermediate_values=dict(enumerate(intermediate_values or (), 1)),
            )
        )


_ABSENT = object()
# Attribute of a trial in a storage, by which it is found again.
_TRIAL_ID = "ray_async trial id"
