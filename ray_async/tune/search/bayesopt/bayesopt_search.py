"""BayesOpt search: suggestions of a Gaussian process, by the package bayesian-optimization.

Its versions differ: up to 1.4 `suggest` takes a utility function, from 2 on the optimiser has an acquisition function.
"""

from __future__ import annotations

import copy
import inspect
import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ray_async.tune.search.library_searcher import Asked, LibrarySearcher
from ray_async.tune.search.sample import uniform

try:
    import bayes_opt
except ModuleNotFoundError as error:
    raise ImportError("BayesOptSearch needs BayesOpt: pip install bayesian-optimization") from error

__all__ = ("BayesOptSearch",)


class BayesOptSearch(LibrarySearcher):
    """Searches with a Gaussian process.

    The process knows floats alone: integers are rounded, logarithms are searched on their scale, and choices are points
    on a line, which suits choices that have an order.

    Args:
        space: The search space: domains by name, or bounds by name (``{"x": (0, 1)}``). None takes the search's.
        metric: The metric that is optimised.
        mode: ``"min"`` or ``"max"``.
        points_to_evaluate: Configs, or parts of configs, that come first.
        utility_kwargs: The acquisition function: ``kind`` (``"ucb"``, ``"ei"``, ``"poi"``), ``kappa``, ``xi``.
        random_state: Seed.
        random_search_steps: How many random configs come before the process's.
        verbose: Has no effect.
        patience: How often a config that was suggested before is replaced by another suggestion.
        skip_duplicate: Whether configs that were suggested before are replaced; after ``patience`` of them in a row the
            search ends.
        analysis: An `ExperimentAnalysis` whose trials are told first.
        repeat_float_precision: Decimal places in which configs are compared.

    Raises:
        ValueError: A space that cannot be searched, or points that do not fit.

    Example:
        >>> search = BayesOptSearch(metric="loss", mode="min")  # doctest: +SKIP
    """

    def __init__(
        self,
        space: Any = None,
        metric: str | None = None,
        mode: str | None = None,
        points_to_evaluate: Sequence[Mapping[str, Any]] | None = None,
        utility_kwargs: Mapping[str, Any] | None = None,
        random_state: int = 42,
        random_search_steps: int = 10,
        verbose: int = 0,
        patience: int = 5,
        skip_duplicate: bool = True,
        analysis: Any = None,
        repeat_float_precision: int = 5,
    ) -> None:
        super().__init__(space, metric, mode, points_to_evaluate)
        if patience <= 0:
            raise ValueError(f"patience must be above 0, but is {patience}")
        self._utility = {"kind": "ucb", "kappa": 2.576, "xi": 0.0, **(utility_kwargs or {})}
        self._random_state, self._random_steps = random_state, random_search_steps
        self._patience, self._skip = patience, skip_duplicate
        self._precision = repeat_float_precision
        self._analysis = analysis
        self._random = np.random.RandomState(random_state)
        self._count = 0
        self._seen: set[tuple[float, ...]] = set()
        self._optimizer: Any = None
        self._utility_function: Any = None

    def native_domains(self, space: Any) -> dict[str, Any] | None:
        if not isinstance(space, Mapping) or not space or not all(isinstance(one, tuple) for one in space.values()):
            return None
        return {name: uniform(*bounds) for name, bounds in space.items()}

    def begin(self) -> None:
        bounds = {name: (one.low, one.high) for name, one in self._dimensions.items()}
        options: dict[str, Any] = {"random_state": self._random_state, "verbose": 0, "allow_duplicate_points": True}
        if hasattr(bayes_opt, "acquisition"):
            options["acquisition_function"] = self._acquisition()
        else:
            self._utility_function = bayes_opt.UtilityFunction(**self._utility)
        # Without a dimension there is nothing for it to fit.
        self._optimizer = bayes_opt.BayesianOptimization(f=None, pbounds=bounds, **options) if bounds else None

    def _acquisition(self) -> Any:
        kinds: dict[str, tuple[str, tuple[str, ...]]] = {
            "ucb": ("UpperConfidenceBound", ("kappa",)),
            "ei": ("ExpectedImprovement", ("xi",)),
            "poi": ("ProbabilityOfImprovement", ("xi",)),
        }
        kind = self._utility["kind"]
        if kind not in kinds:
            raise ValueError(f"utility_kwargs['kind'] is one of {sorted(kinds)}, but got {kind!r}")
        name, taken = kinds[kind]
        function = getattr(bayes_opt.acquisition, name)
        options = {key: self._utility[key] for key in taken}
        if "random_state" in inspect.signature(function).parameters:
            with warnings.catch_warnings():
                # Newer versions would rather be given a random state at each suggestion.
                warnings.simplefilter("ignore", DeprecationWarning)
                return function(**options)
        return function(**options)

    def set_search_properties(self, metric: str | None, mode: str | None, config: dict[str, Any], **spec: Any) -> bool:
        taken = super().set_search_properties(metric, mode, config, **spec)
        if taken and self._analysis is not None:
            self.add_evaluated_trials(self._analysis, self._metric or "")
        return taken

    def suggest(self, trial_id: str) -> Any:
        suggested = super().suggest(trial_id)
        if suggested is not None and not self._skip:
            return suggested
        for _ in range(self._patience):
            asked = self._asked.get(trial_id)
            if asked is None or self._next_point <= len(self._points) or self._is_new(asked):
                return suggested
            self._next_point -= 1
            suggested = super().suggest(trial_id)
        if not self._is_new(self._asked[trial_id]):
            del self._asked[trial_id]
            return self.FINISHED
        return suggested

    def _is_new(self, asked: Asked) -> bool:
        key = tuple(round(position, self._precision) for position in asked.handle.values())
        new = key not in self._seen
        self._seen.add(key)
        return new

    def ask(self, given: dict[str, Any]) -> Asked:
        self._count += 1
        positions: dict[str, float] = {}
        if set(given) != set(self._dimensions):
            positions = self._random_point() if self._is_random() else self._suggested()
        for name, value in given.items():
            positions[name] = self._dimensions[name].position(value)
        positions = {name: positions[name] for name in self._dimensions}
        values = {name: one.at(positions[name]) for name, one in self._dimensions.items()}
        return Asked({**values, **copy.deepcopy(given)}, positions)

    def _is_random(self) -> bool:
        if self._count <= self._random_steps or self._optimizer is None:
            return True
        # Of targets that are all the same the process can learn nothing.
        return len(np.unique(self._optimizer.space.target)) < 2

    def _random_point(self) -> dict[str, float]:
        return {name: float(self._random.uniform(one.low, one.high)) for name, one in self._dimensions.items()}

    def _suggested(self) -> dict[str, float]:
        with warnings.catch_warnings():
            # Of the process's fit, about kernels at their bounds.
            warnings.simplefilter("ignore")
            if self._utility_function is None:
                found = self._optimizer.suggest()
            else:
                found = self._optimizer.suggest(self._utility_function)
        return {name: float(value) for name, value in found.items()}

    def tell(self, asked: Asked, loss: float) -> None:
        if self._optimizer is not None:
            self._optimizer.register(params=asked.handle, target=-loss)
