"""Nevergrad search: suggestions of any of Nevergrad's optimisers."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from typing import Any

from ray_async.tune.search.library_searcher import Asked, LibrarySearcher

try:
    import nevergrad as ng
except ModuleNotFoundError as error:
    raise ImportError("NevergradSearch needs Nevergrad: pip install nevergrad") from error

__all__ = ("NevergradSearch",)


class NevergradSearch(LibrarySearcher):
    """Searches with an optimiser of Nevergrad.

    Args:
        optimizer: A class of optimisers (``ng.optimizers.OnePlusOne``), the name of one, or an optimiser that was made
            for an ``ng.p.Dict`` already. None: ``NGOpt``.
        optimizer_kwargs: What the class gets, for instance ``{"budget": 100}``.
        space: The search space: domains by name, or an ``ng.p.Dict``. None takes the search's.
        metric: The metric that is optimised.
        mode: ``"min"`` or ``"max"``.
        points_to_evaluate: Configs, or parts of configs, that come first.
        seed: Seed of the optimiser's random numbers.

    Raises:
        ValueError: A space that Nevergrad cannot search, or points that do not fit.

    Example:
        >>> search = NevergradSearch("OnePlusOne", metric="loss", mode="min")  # doctest: +SKIP
    """

    def __init__(
        self,
        optimizer: Any = None,
        optimizer_kwargs: Mapping[str, Any] | None = None,
        space: Any = None,
        metric: str | None = None,
        mode: str | None = None,
        points_to_evaluate: Sequence[Mapping[str, Any]] | None = None,
        seed: int | None = None,
    ) -> None:
        self._given = optimizer
        self._options = dict(optimizer_kwargs or {})
        self._seed = seed
        self._native: Any = None
        if isinstance(optimizer, ng.optimizers.base.Optimizer):
            space = optimizer.parametrization
        super().__init__(space, metric, mode, points_to_evaluate)
        self._optimizer: Any = None

    def native_domains(self, space: Any) -> dict[str, Any] | None:
        if isinstance(space, ng.p.Dict):
            self._native = space
            return {}
        return None

    def begin(self) -> None:
        if isinstance(self._given, ng.optimizers.base.Optimizer):
            self._optimizer = self._given
            return
        space = self._native
        if space is None:
            space = ng.p.Dict(**{name: _parameter(one) for name, one in self._dimensions.items()})
        if self._seed is not None:
            space.random_state.seed(self._seed)
        kind = "NGOpt" if self._given is None else self._given
        kind = ng.optimizers.registry[kind] if isinstance(kind, str) else kind
        self._optimizer = kind(parametrization=space, **self._options)

    def known_names(self) -> set[str]:
        return {*super().known_names(), *(self._optimizer.parametrization.value if self._native is not None else ())}

    def values_in(self, config: Mapping[str, Any]) -> dict[str, Any]:
        if self._native is None:
            return super().values_in(config)
        return {name: config[name] for name in self._optimizer.parametrization.value if name in config}

    def ask(self, given: dict[str, Any]) -> Asked:
        candidate = self._optimizer.ask()
        if given:
            if self._native is None:
                fixed = {name: _raw(self._dimensions[name], value) for name, value in given.items()}
            else:
                fixed = given
            candidate = candidate.spawn_child(new_value={**candidate.value, **fixed})
        if self._native is not None:
            return Asked(dict(candidate.value), candidate)
        values = {name: _value(self._dimensions[name], raw) for name, raw in candidate.value.items()}
        return Asked({**values, **copy.deepcopy(given)}, candidate)

    def tell(self, asked: Asked, loss: float) -> None:
        self._optimizer.tell(asked.handle, loss)


def _parameter(dimension: Any) -> Any:
    if dimension.choices is not None:
        return ng.p.Choice(list(range(len(dimension.choices))))
    return ng.p.Scalar(lower=dimension.low, upper=dimension.high)


def _value(dimension: Any, raw: Any) -> Any:
    return dimension.at(raw) if dimension.choices is None else dimension.value(raw)


def _raw(dimension: Any, value: Any) -> Any:
    return dimension.position(value) if dimension.choices is None else dimension.number(value)
