"""Ax search: suggestions of Ax's client, random ones first and then Bayesian optimisation."""

from __future__ import annotations

import copy
import logging
import warnings
from collections.abc import Mapping, Sequence
from typing import Any

from ray_async.tune.metric import lookup, number
from ray_async.tune.search.library_searcher import Asked, LibrarySearcher, SpaceExhausted
from ray_async.tune.search.sample import choice, loguniform, randint, uniform

try:
    from ax.api.client import Client
except ModuleNotFoundError as error:
    raise ImportError("AxSearch needs Ax: pip install ax-platform") from error

from ax.api.configs import ChoiceParameterConfig, RangeParameterConfig
from ax.exceptions.core import SearchSpaceExhausted

__all__ = ("AxSearch",)


class AxSearch(LibrarySearcher):
    """Searches with Ax.

    Args:
        space: The search space: domains by name, or a list of Ax's parameters as dicts (``{"name": "x", "type":
            "range", "bounds": [0, 1]}``). None takes the search's.
        metric: The metric that is optimised.
        mode: ``"min"`` or ``"max"``.
        points_to_evaluate: Configs, or parts of configs, that come first.
        parameter_constraints: Linear constraints of parameters, for instance ``["x <= y"]``.
        outcome_constraints: Constraints of metrics, for instance ``["memory <= 100"]``; trials report these too.
        ax_client: A client whose experiment was configured already.
        seed: Seed of the client.
        ax_kwargs: What ``Client.configure_generation_strategy`` takes.

    Raises:
        ValueError: A space that Ax cannot search, or points that do not fit.

    Example:
        >>> search = AxSearch(metric="loss", mode="min", seed=1)  # doctest: +SKIP
    """

    def __init__(
        self,
        space: Any = None,
        metric: str | None = None,
        mode: str | None = None,
        points_to_evaluate: Sequence[Mapping[str, Any]] | None = None,
        parameter_constraints: Sequence[str] | None = None,
        outcome_constraints: Sequence[str] | None = None,
        ax_client: Any = None,
        seed: int | None = None,
        **ax_kwargs: Any,
    ) -> None:
        super().__init__(space, metric, mode, points_to_evaluate)
        self._constraints = list(parameter_constraints or ())
        self._outcomes = list(outcome_constraints or ())
        self._client = ax_client
        self._configured = ax_client is not None
        self._seed = seed
        self._options = ax_kwargs
        self._constants: dict[str, Any] = {}
        self._metrics: dict[str, Any] = {}
        if ax_client is not None and space is None:
            self._space = {}

    def native_domains(self, space: Any) -> dict[str, Any] | None:
        if not isinstance(space, (list, tuple)):
            return None
        fixed = {one["name"]: one["value"] for one in space if one["type"] == "fixed"}
        self._constants = fixed
        return {one["name"]: _domain(one) for one in space if one["type"] != "fixed"}

    def begin(self) -> None:
        logging.getLogger("ax").setLevel(logging.WARNING)
        if self._configured:
            return
        self._client = Client(random_seed=self._seed)
        # A single value is no parameter for Ax.
        searched = [one for one in self._dimensions.values() if one.lower < one.upper]
        if not searched:
            return
        self._client.configure_experiment(
            parameters=[_parameter(one) for one in searched], parameter_constraints=self._constraints or None
        )
        name = _quoted(self._metric or "")
        self._client.configure_optimization(
            objective=name if self._mode == "max" else f"-{name}", outcome_constraints=self._outcomes or None
        )
        options = {"initialization_random_seed": self._seed, **self._options}
        self._client.configure_generation_strategy(**options)

    def known_names(self) -> set[str]:
        return {*super().known_names(), *self._constants}

    def config_of(self, asked: Asked) -> dict[str, Any]:
        return {**self._constants, **super().config_of(asked)}

    def ask(self, given: dict[str, Any]) -> Asked | None:
        searched = {name: one for name, one in self._dimensions.items() if one.lower < one.upper}
        values = {name: one.value(one.lower) for name, one in self._dimensions.items() if name not in searched}
        if not searched and not self._configured:
            return Asked({**values, **copy.deepcopy(given)}, None)
        fixed = {name: _plain(searched[name].number(value)) for name, value in given.items() if name in searched}
        with warnings.catch_warnings():
            # Of the models' fits, which Ax repeats by itself where it has to.
            warnings.simplefilter("ignore")
            if searched and set(fixed) == set(searched):
                index, found = self._client.attach_trial(fixed), fixed
            else:
                try:
                    trials = self._client.get_next_trials(max_trials=1, fixed_parameters=fixed or None)
                except SearchSpaceExhausted:
                    raise SpaceExhausted from None
                if not trials:
                    return None
                ((index, found),) = trials.items()
        for name, held in found.items():
            values[name] = searched[name].value(held) if name in searched else held
        return Asked({**values, **copy.deepcopy(given)}, index)

    def on_trial_complete(self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False) -> None:
        # Metrics of constraints belong to the same trial.
        names = {one.replace("<=", ">=").partition(">=")[0].strip() for one in self._outcomes}
        held = {name: number(lookup(result or {}, name)) for name in names}
        self._metrics = {name: value for name, value in held.items() if value is not None}
        super().on_trial_complete(trial_id, result, error)

    def tell(self, asked: Asked, loss: float) -> None:
        if asked.handle is not None:
            value = loss if self._mode == "min" else -loss
            name = _quoted(self._metric or "")
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                self._client.complete_trial(asked.handle, raw_data={name: value, **self._metrics})

    def report_failure(self, asked: Asked) -> None:
        if asked.handle is not None:
            self._client.mark_trial_failed(asked.handle)


def _quoted(metric: str) -> str:
    """A metric's name as Ax's expressions can have it."""
    return "".join(letter if letter.isalnum() or letter == "_" else "_" for letter in metric)


def _plain(value: Any) -> Any:
    return value.item() if hasattr(value, "item") else value


def _parameter(dimension: Any) -> Any:
    if dimension.choices is not None:
        return ChoiceParameterConfig(
            name=dimension.name,
            values=list(range(len(dimension.choices))),
            parameter_type="int",
            is_ordered=False,
        )
    return RangeParameterConfig(
        name=dimension.name,
        bounds=(dimension.lower, dimension.upper),
        parameter_type="int" if dimension.integer else "float",
        scaling="log" if dimension.log else None,
    )


def _domain(given: Mapping[str, Any]) -> Any:
    if given["type"] == "choice":
        return choice(given["values"])
    low, high = given["bounds"]
    if given.get("value_type") == "int" or (
        isinstance(low, int) and isinstance(high, int) and "value_type" not in given
    ):
        return randint(low, high + 1)
    return loguniform(low, high) if given.get("log_scale") else uniform(low, high)
