"""Distributions of Optuna for domains, and the values that stand for each other on both sides."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)

from ray_async.tune.search.domain import Categorical, Domain, Float, Integer, LogUniform, Normal, Quantized

__all__ = ("Parameter", "parameters")


class Parameter:
    """A domain as Optuna has it.

    Args:
        name: Its path.
        domain: The domain, or a distribution of Optuna.

    Raises:
        ValueError: Optuna has no such distribution.
    """

    def __init__(self, name: str, domain: Any) -> None:
        self.domain = domain
        # Objects that Optuna cannot store are known to it by their number.
        self._objects: list[Any] | None = None
        if isinstance(domain, BaseDistribution):
            self.distribution = domain
            return
        if isinstance(domain, Categorical):
            plain = all(value is None or type(value) in (bool, int, float, str) for value in domain.categories)
            if not plain or len({repr(value) for value in domain.categories}) < len(domain.categories):
                self._objects = list(domain.categories)
            choices = list(range(len(domain.categories))) if self._objects is not None else domain.categories
            self.distribution = CategoricalDistribution(choices)
        else:
            self.distribution = _numbers(name, domain)

    def outer(self, value: Any) -> Any:
        """The config's value for Optuna's."""
        if self._objects is not None:
            return self._objects[value]
        sampler = self.domain.get_sampler() if isinstance(self.domain, Domain) else None
        if isinstance(sampler, Quantized) and isinstance(sampler.sampler, LogUniform):
            # Optuna has no steps on a logarithmic scale.
            rounded = round(round(value / sampler.q) * sampler.q, 12)
            return self.domain.cast(min(max(rounded, self.domain.lower), self.domain.upper))
        # A value that was given is kept as it was given: Optuna's own `suggest_int` makes it a whole number, too.
        if isinstance(self.distribution, IntDistribution):
            return int(value)
        return float(value) if isinstance(self.distribution, FloatDistribution) else value

    def inner(self, value: Any) -> Any:
        """Optuna's value for the config's."""
        if self._objects is None:
            return value
        return next(number for number, one in enumerate(self._objects) if one is value or _same(one, value))


def _same(one: Any, other: Any) -> bool:
    return type(one) is type(other) and bool(one == other)


def _numbers(name: str, domain: Any) -> Any:
    sampler: Any = domain.get_sampler() if isinstance(domain, Domain) else None
    quantum = None
    if isinstance(sampler, Quantized):
        quantum = sampler.q
        sampler = sampler.get_sampler()
    if isinstance(sampler, Normal) or not isinstance(domain, (Float, Integer)):
        raise ValueError(
            f"Optuna has no distribution for {name!r} ({type(domain).__name__}, {sampler}): give tune.uniform, "
            "tune.loguniform, tune.randint, tune.choice or their like"
        )
    log = isinstance(sampler, LogUniform)
    if isinstance(domain, Integer):
        step = int(quantum) if quantum and not log else 1
        upper = domain.upper if quantum and quantum != 1 else domain.upper - 1
        return IntDistribution(domain.lower, upper, log=log, step=step)
    return FloatDistribution(domain.lower, domain.upper, log=log, step=None if log else quantum)


def parameters(domains: Mapping[str, Any]) -> dict[str, Parameter]:
    """Domains as Optuna has them; functions are left out, since they are called when all else is known.

    Args:
        domains: Domains by path.
    """
    return {
        name: Parameter(name, domain)
        for name, domain in domains.items()
        if not (isinstance(domain, Domain) and domain.is_function())
    }
