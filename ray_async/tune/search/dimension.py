"""Dimension: one domain of a search space as optimisers of numbers see it.

A domain is a range of numbers, perhaps on a logarithmic scale, or a list of choices. Libraries that know such ranges
get the bounds; those that know floats alone get positions, of which each integer or choice has a cell of its own. What
comes back is rounded here, so that all searchers give the same values of the same Python types.
"""

from __future__ import annotations

import copy
import math
from typing import Any

from ray_async.tune.search.domain import Categorical, Domain, Float, Integer, LogUniform, Normal, Quantized

__all__ = ("Dimension", "dimensions")


class Dimension:
    """A domain of a search space.

    Args:
        name: Its path.
        domain: The domain.
        searcher: The searcher's name, for the error.
        normal: Whether the searcher's library knows normal distributions.

    Raises:
        ValueError: The library cannot search such a domain.
    """

    def __init__(self, name: str, domain: Any, searcher: str, normal: bool = False) -> None:
        self.name, self.domain = name, domain
        self.choices: list[Any] | None = None
        self.normal: tuple[float, float] | None = None
        self.log = self.integer = False
        self.quantum: float | None = None
        self.lower, self.upper = 0.0, 0.0
        if isinstance(domain, Categorical):
            self.choices = list(domain.categories)
            self.lower, self.upper = 0, len(self.choices) - 1
            return
        sampler: Any = domain.get_sampler() if isinstance(domain, Domain) else None
        if isinstance(sampler, Quantized):
            self.quantum, sampler = sampler.q, sampler.get_sampler()
        if not isinstance(domain, (Float, Integer)) or (isinstance(sampler, Normal) and not normal):
            raise ValueError(
                f"{searcher} cannot search {name!r} ({type(domain).__name__}, {sampler}): give tune.uniform, "
                "tune.loguniform, tune.randint, tune.choice or their like"
            )
        self.integer = isinstance(domain, Integer)
        if isinstance(sampler, Normal):
            self.normal = sampler.mean, sampler.sd
            return
        self.log = isinstance(sampler, LogUniform)
        self.lower, self.upper = domain.lower, domain.upper
        if self.integer and (self.quantum is None or self.quantum == 1):
            self.quantum, self.upper = None, domain.upper - 1

    @property
    def low(self) -> float:
        """The lowest position."""
        return math.log(self.lower) if self.log else float(self.lower)

    @property
    def high(self) -> float:
        """The highest position."""
        upper = self.upper + 1 if self._has_cells() else self.upper
        return math.log(upper) if self.log else float(upper)

    def _has_cells(self) -> bool:
        return self.choices is not None or (self.integer and self.quantum is None)

    def value(self, number: Any) -> Any:
        """The config's value for a number within the bounds, or for the index of a choice.

        Args:
            number: The number.
        """
        if self.choices is not None:
            # A copy: what one trial does to its list must not show in another one.
            return _copied(self.choices[int(number)])
        if self.normal is not None:
            return self.domain.cast(self._rounded(float(number)))
        return self.domain.cast(min(max(self._rounded(number), self.lower), self.upper))

    def _rounded(self, number: float) -> float:
        if self.quantum is None:
            return number
        rounded = round(round(number / self.quantum) * self.quantum, 12)
        if self.normal is None and rounded > self.upper:
            rounded = math.floor(self.upper / self.quantum) * self.quantum
        if self.normal is None and rounded < self.lower:
            rounded = math.ceil(self.lower / self.quantum) * self.quantum
        return rounded

    def at(self, position: float) -> Any:
        """The config's value at a position.

        Args:
            position: From `low` to `high`.
        """
        number = math.exp(position) if self.log else float(position)
        if self._has_cells():
            number = min(max(math.floor(number + 1e-12), self.lower), self.upper)
        return self.value(number)

    def typed(self, value: Any) -> Any:
        """A value that was given, in the domain's Python type.

        Args:
            value: The value.

        Raises:
            ValueError: It is no number, or none of the choices.
        """
        if self.choices is not None:
            self.number(value)
            return value
        try:
            return self.domain.cast(value)
        except (TypeError, ValueError) as error:
            raise ValueError(f"{value!r} is no number for {self.name!r}") from error

    def number(self, value: Any) -> Any:
        """The number, or the index of a choice, for a config's value.

        Args:
            value: The value.

        Raises:
            ValueError: It is none of the choices.
        """
        if self.choices is None:
            return value
        for index, choice in enumerate(self.choices):
            if choice is value or (type(choice) is type(value) and bool(choice == value)):
                return index
        raise ValueError(f"{value!r} is none of the choices of {self.name!r}: {self.choices}")

    def position(self, value: Any) -> float:
        """The position of a config's value: the middle of its cell, if it has one.

        Args:
            value: The value.
        """
        number = float(self.number(value))
        if self._has_cells():
            number += 0.5
        if self.log:
            number = math.log(max(number, 1e-300))
        return min(max(number, self.low), self.high)


def _copied(value: Any) -> Any:
    return copy.deepcopy(value) if isinstance(value, (dict, list, tuple, set)) else value


def dimensions(domains: dict[str, Any], searcher: str, normal: bool = False) -> dict[str, Dimension]:
    """Domains as dimensions; functions are left out, since they are called when all else is known.

    Args:
        domains: Domains by path.
        searcher: The searcher's name, for errors.
        normal: Whether the searcher's library knows normal distributions.
    """
    return {
        name: Dimension(name, domain, searcher, normal)
        for name, domain in domains.items()
        if not (isinstance(domain, Domain) and domain.is_function())
    }
