"""Domain: what a hyperparameter may be, and the sampler that draws a value of it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from copy import copy
from typing import Any, ClassVar, TypeVar

from ray_async.tune.search.random_source import RandomSource

__all__ = (
    "BaseSampler",
    "Categorical",
    "Domain",
    "Float",
    "Grid",
    "Integer",
    "LogUniform",
    "Normal",
    "Quantized",
    "Sampler",
    "Uniform",
)

D = TypeVar("D", bound="Domain")


class Sampler:
    """Way in which values of a domain are drawn."""

    def sample(self, domain: Domain, config: Any = None, size: int = 1, random_state: Any = None) -> Any:
        """Draw values.

        Args:
            domain: The domain that they are of.
            config: Values of other hyperparameters, for those that depend on them.
            size: How many; more than one come as a list.
            random_state: A generator or random state of NumPy, a seed, or None for NumPy's global state.
        """
        source = random_state if type(random_state) is RandomSource else RandomSource.of(random_state)
        if size == 1:
            return domain.cast(self.draw(domain, source))
        return [domain.cast(self.draw(domain, source)) for _ in range(size)]

    def draw(self, domain: Any, source: RandomSource) -> Any:
        """Draw one value, not yet cast."""
        raise NotImplementedError(f"{type(self).__name__} draws nothing by itself")


class BaseSampler(Sampler):
    """Sampler that is not wrapped around another one."""

    def __str__(self) -> str:
        return "Base"


class Uniform(BaseSampler):
    """Uniform distribution over the domain."""

    def draw(self, domain: Any, source: RandomSource) -> Any:
        if isinstance(domain, Categorical):
            return domain.categories[source.integer(0, len(domain.categories))]
        if isinstance(domain, Integer):
            return source.integer(domain.lower, domain.upper)
        if not (math.isfinite(domain.lower) and math.isfinite(domain.upper)):
            raise ValueError("a uniform distribution needs a lower and an upper bound: uniform(lower, upper)")
        return source.uniform(domain.lower, domain.upper)

    def __str__(self) -> str:
        return "Uniform"


class LogUniform(BaseSampler):
    """Uniform distribution over the logarithm.

    Args:
        base: Base of the logarithm, which makes no difference.
    """

    def __init__(self, base: float = 10) -> None:
        if base <= 0:
            raise ValueError("base must be positive")
        self.base = base

    def draw(self, domain: Any, source: RandomSource) -> Any:
        if not (domain.lower > 0 and 0 < domain.upper < math.inf):
            raise ValueError("a log-uniform distribution needs bounds above 0: loguniform(lower, upper)")
        value = math.exp(source.uniform(math.log(domain.lower), math.log(domain.upper)))
        value = min(max(value, domain.lower), domain.upper)
        return max(min(int(value), domain.upper - 1), domain.lower) if isinstance(domain, Integer) else value

    def __str__(self) -> str:
        return "LogUniform"


class Normal(BaseSampler):
    """Normal distribution.

    Args:
        mean: Mean.
        sd: Standard deviation, above 0.
    """

    def __init__(self, mean: float = 0.0, sd: float = 0.0) -> None:
        if sd <= 0:
            raise ValueError(f"the standard deviation must be above 0, but is {sd}")
        self.mean, self.sd = mean, sd

    def draw(self, domain: Any, source: RandomSource) -> Any:
        if math.isfinite(domain.lower) or math.isfinite(domain.upper):
            raise ValueError("a normal distribution has no bounds")
        return source.normal(self.mean, self.sd)

    def __str__(self) -> str:
        return "Normal"


class Grid(Sampler):
    """Mark of a domain whose values are all taken, one after the other."""

    def draw(self, domain: Any, source: RandomSource) -> Any:
        raise RuntimeError("values of a grid are taken one after the other, not drawn")


class Quantized(Sampler):
    """Values of another sampler, rounded to multiples.

    Args:
        sampler: The other one.
        q: The values are multiples of this.
    """

    def __init__(self, sampler: Sampler, q: float) -> None:
        if not q > 0:
            raise ValueError(f"the quantization q must be above 0, but is {q}")
        self.sampler, self.q = sampler, q

    def get_sampler(self) -> Sampler:
        """The other sampler."""
        return self.sampler

    def draw(self, domain: Any, source: RandomSource) -> Any:
        if self.q == 1 and isinstance(domain, Integer):
            return self.sampler.draw(domain, source)
        wide = copy(domain)
        # A multiple at the upper bound is as likely as the others; an integer's bound is exclusive otherwise.
        if isinstance(domain, Integer):
            wide.upper = domain.upper + 1
        value = self._round(self.sampler.draw(wide, source))
        if value < domain.lower:
            value = math.ceil(domain.lower / self.q) * self.q
        elif value > domain.upper:
            value = math.floor(domain.upper / self.q) * self.q
        return value

    def _round(self, value: float) -> float:
        rounded = round(value / self.q) * self.q
        # 3 * 0.1 is 0.30000000000000004; what is meant is 0.3.
        return rounded if isinstance(self.q, int) else round(rounded, 12)


class Domain:
    """What a hyperparameter may be: the values, and how they are drawn."""

    sampler: Sampler | None = None
    default_sampler_cls: ClassVar[type[Sampler] | None] = None

    def cast(self, value: Any) -> Any:
        """The value as the domain's Python type."""
        return value

    def set_sampler(self, sampler: Sampler, allow_override: bool = False) -> None:
        """Set the way in which values are drawn.

        Raises:
            ValueError: One is set already.
        """
        if self.sampler is not None and not allow_override:
            raise ValueError(f"the domain has a sampler already: {self.sampler}")
        self.sampler = sampler

    def get_sampler(self) -> Sampler:
        """The way in which values are drawn."""
        if self.sampler is not None:
            return self.sampler
        kind = self.default_sampler_cls or Uniform
        return kind()

    def sample(self, config: Any = None, size: int = 1, random_state: Any = None) -> Any:
        """Draw values.

        Args:
            config: Values of other hyperparameters, for those that depend on them.
            size: How many; more than one come as a list.
            random_state: A generator or random state of NumPy, a seed, or None for NumPy's global state.
        """
        return self.get_sampler().sample(self, config=config, size=size, random_state=random_state)

    def is_grid(self) -> bool:
        """Whether all values are taken, one after the other."""
        return isinstance(self.sampler, Grid)

    def is_function(self) -> bool:
        """Whether values come of a function."""
        return False

    def is_valid(self, value: Any) -> bool:
        """Whether a value is of the domain."""
        raise NotImplementedError(f"{type(self).__name__} cannot tell which values are valid")

    @property
    def domain_str(self) -> str:
        """The domain in words."""
        return "(unknown)"

    def _with(self: D, sampler: Sampler, allow_override: bool = False) -> D:
        new = copy(self)
        new.set_sampler(sampler, allow_override)
        return new


class Float(Domain):
    """Floats between bounds.

    Args:
        lower: Lower bound; None: none.
        upper: Upper bound; None: none.

    Raises:
        ValueError: The lower bound is above the upper one, or one is not a number.
    """

    def __init__(self, lower: float | None, upper: float | None) -> None:
        self.lower = -math.inf if lower is None else lower
        self.upper = math.inf if upper is None else upper
        _check_bounds(self.lower, self.upper)

    def cast(self, value: Any) -> float:
        return float(value)

    def uniform(self) -> Float:
        """The same, uniformly distributed.

        Raises:
            ValueError: A bound is missing.
        """
        if not (math.isfinite(self.lower) and math.isfinite(self.upper)):
            raise ValueError("uniform needs a lower and an upper bound")
        return self._with(Uniform())

    def loguniform(self, base: float = 10) -> Float:
        """The same, with uniformly distributed logarithms.

        Raises:
            ValueError: A bound is missing, or not above 0.
        """
        if not self.lower > 0:
            raise ValueError(f"loguniform needs a lower bound above 0, but it is {self.lower}")
        if not 0 < self.upper < math.inf:
            raise ValueError(f"loguniform needs an upper bound above 0, but it is {self.upper}")
        return self._with(LogUniform(base))

    def normal(self, mean: float = 0.0, sd: float = 1.0) -> Float:
        """The same, normally distributed."""
        return self._with(Normal(mean, sd))

    def quantized(self, q: float) -> Float:
        """The same, rounded to multiples of ``q``.

        Raises:
            ValueError: A bound is no multiple, or ``q`` is not above 0.
        """
        quantized = Quantized(self.get_sampler(), q)
        for name, bound in (("lower", self.lower), ("upper", self.upper)):
            if math.isfinite(bound) and not math.isclose(bound / q, round(bound / q)):
                raise ValueError(f"the {name} bound {bound} is no multiple of the quantization {q}")
        return self._with(quantized, allow_override=True)

    def is_valid(self, value: Any) -> bool:
        return bool(self.lower <= value <= self.upper)

    @property
    def domain_str(self) -> str:
        return f"({self.lower}, {self.upper})"


class Integer(Domain):
    """Integers between bounds.

    Args:
        lower: Lower bound.
        upper: Upper bound, exclusive.

    Raises:
        ValueError: The lower bound is above the upper one.
    """

    def __init__(self, lower: int, upper: int) -> None:
        self.lower, self.upper = lower, upper
        _check_bounds(lower, upper)

    def cast(self, value: Any) -> int:
        return int(value)

    def quantized(self, q: int) -> Integer:
        """The same, rounded to multiples of ``q``.

        Raises:
            ValueError: No multiple lies within the bounds, or ``q`` is not above 0.
        """
        quantized = Quantized(self.get_sampler(), q)
        if q == 1:
            self._check_some()
        elif math.floor(self.upper / q) < math.ceil(self.lower / q):
            raise ValueError(f"there is no multiple of the quantization {q} within {self.domain_str}")
        return self._with(quantized, allow_override=True)

    def uniform(self) -> Integer:
        """The same, uniformly distributed.

        Raises:
            ValueError: There is no such integer.
        """
        self._check_some()
        return self._with(Uniform())

    def _check_some(self) -> None:
        if self.lower == self.upper:
            raise ValueError(f"there is no integer from {self.lower} to {self.upper}, which is exclusive")

    def loguniform(self, base: float = 10) -> Integer:
        """The same, with uniformly distributed logarithms.

        Raises:
            ValueError: A bound is not above 0.
        """
        if not self.lower > 0:
            raise ValueError(f"loguniform needs a lower bound above 0, but it is {self.lower}")
        if not 0 < self.upper < math.inf:
            raise ValueError(f"loguniform needs an upper bound above 0, but it is {self.upper}")
        return self._with(LogUniform(base))

    def is_valid(self, value: Any) -> bool:
        return bool(self.lower <= value <= self.upper)

    @property
    def domain_str(self) -> str:
        return f"({self.lower}, {self.upper})"


class Categorical(Domain):
    """Values of a list.

    Args:
        categories: The values, of any types.

    Raises:
        ValueError: There are none.
    """

    def __init__(self, categories: Sequence[Any]) -> None:
        self.categories = list(categories)
        if not self.categories:
            raise ValueError("there is no value to choose: choice needs one at least")

    def uniform(self) -> Categorical:
        """The same, each value as likely as the others."""
        return self._with(Uniform())

    def grid(self) -> Categorical:
        """The same, all values taken one after the other."""
        return self._with(Grid())

    def __len__(self) -> int:
        return len(self.categories)

    def __getitem__(self, item: int) -> Any:
        return self.categories[item]

    def is_valid(self, value: Any) -> bool:
        return value in self.categories

    @property
    def domain_str(self) -> str:
        return f"{self.categories}"


def _check_bounds(lower: float, upper: float) -> None:
    if not lower <= upper:  # nor if one is not a number
        raise ValueError(f"the lower bound {lower} is above the upper bound {upper}: the lower one comes first")
