"""Search spaces: the functions that make domains, and the dict of a grid."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from ray_async.tune.search.domain import (
    BaseSampler,
    Categorical,
    Domain,
    Float,
    Grid,
    Integer,
    LogUniform,
    Normal,
    Quantized,
    Sampler,
    Uniform,
)
from ray_async.tune.search.function_domain import Function

__all__ = (
    "BaseSampler",
    "Categorical",
    "Domain",
    "Float",
    "Function",
    "Grid",
    "Integer",
    "LogUniform",
    "Normal",
    "Quantized",
    "Sampler",
    "Uniform",
    "choice",
    "grid_search",
    "lograndint",
    "loguniform",
    "qlograndint",
    "qloguniform",
    "qrandint",
    "qrandn",
    "quniform",
    "randint",
    "randn",
    "sample_from",
    "uniform",
)


def uniform(lower: float, upper: float) -> Float:
    """A float in [lower, upper), uniformly distributed.

    Args:
        lower: Lower bound.
        upper: Upper bound, exclusive.

    Raises:
        ValueError: The lower bound is above the upper one.

    Example:
        >>> 0 <= uniform(0, 1).sample() < 1
        True
    """
    return Float(lower, upper).uniform()


def quniform(lower: float, upper: float, q: float) -> Float:
    """A multiple of ``q`` in [lower, upper], uniformly distributed.

    Args:
        lower: Lower bound, a multiple of ``q``.
        upper: Upper bound, a multiple of ``q``.
        q: The quantization.

    Raises:
        ValueError: The lower bound is above the upper one, a bound is no multiple, or ``q`` is not above 0.
    """
    return Float(lower, upper).uniform().quantized(q)


def loguniform(lower: float, upper: float, base: float = 10) -> Float:
    """A float between the bounds, whose logarithm is uniformly distributed.

    Args:
        lower: Lower bound, above 0.
        upper: Upper bound.
        base: Base of the logarithm, which makes no difference.

    Raises:
        ValueError: A bound is not above 0, or the lower one is above the upper one.
    """
    return Float(lower, upper).loguniform(base)


def qloguniform(lower: float, upper: float, q: float, base: float = 10) -> Float:
    """A multiple of ``q`` between the bounds, whose logarithm is uniformly distributed.

    Args:
        lower: Lower bound, above 0, a multiple of ``q``.
        upper: Upper bound, a multiple of ``q``.
        q: The quantization.
        base: Base of the logarithm, which makes no difference.

    Raises:
        ValueError: A bound is not above 0 or no multiple, the lower one is above the upper one, or ``q`` is not
            above 0.
    """
    return Float(lower, upper).loguniform(base).quantized(q)


def choice(categories: Sequence[Any]) -> Categorical:
    """One of several values.

    Args:
        categories: The values, of any types.

    Raises:
        ValueError: There are none.
    """
    return Categorical(categories).uniform()


def randint(lower: int, upper: int) -> Integer:
    """An integer in [lower, upper).

    Args:
        lower: Lower bound.
        upper: Upper bound, exclusive.

    Raises:
        ValueError: There is no such integer.
    """
    return Integer(lower, upper).uniform()


def lograndint(lower: int, upper: int, base: float = 10) -> Integer:
    """An integer in [lower, upper), whose logarithm is uniformly distributed.

    Args:
        lower: Lower bound, above 0.
        upper: Upper bound, exclusive.
        base: Base of the logarithm, which makes no difference.

    Raises:
        ValueError: A bound is not above 0, or the lower one is above the upper one.
    """
    return Integer(lower, upper).loguniform(base)


def qrandint(lower: int, upper: int, q: int = 1) -> Integer:
    """A multiple of ``q`` in [lower, upper]; with ``q=1`` the upper bound is exclusive.

    Args:
        lower: Lower bound.
        upper: Upper bound.
        q: The quantization.

    Raises:
        ValueError: No multiple lies within the bounds, or ``q`` is not above 0.
    """
    # Not by `uniform`, which refuses equal bounds: with both inclusive there may be one multiple.
    return Integer(lower, upper).quantized(q)


def qlograndint(lower: int, upper: int, q: int, base: float = 10) -> Integer:
    """A multiple of ``q`` in [lower, upper], whose logarithm is uniformly distributed.

    Args:
        lower: Lower bound, above 0.
        upper: Upper bound.
        q: The quantization.
        base: Base of the logarithm, which makes no difference.

    Raises:
        ValueError: A bound is not above 0, no multiple lies within them, or ``q`` is not above 0.
    """
    return Integer(lower, upper).loguniform(base).quantized(q)


def randn(mean: float = 0.0, sd: float = 1.0) -> Float:
    """A float, normally distributed.

    Args:
        mean: Mean.
        sd: Standard deviation.
    """
    return Float(None, None).normal(mean, sd)


def qrandn(mean: float, sd: float, q: float) -> Float:
    """A multiple of ``q``, normally distributed.

    Args:
        mean: Mean.
        sd: Standard deviation.
        q: The quantization.
    """
    return Float(None, None).normal(mean, sd).quantized(q)


def sample_from(func: Callable[..., Any]) -> Function:
    """The value that a function gives, for each trial anew.

    Args:
        func: A function of nothing, of the config, or of a ``spec`` whose ``config`` is the config. Values that it
            reads are drawn before it is called.

    Example:
        >>> space = {"a": randint(1, 9), "b": sample_from(lambda config: config["a"] * 2)}
    """
    return Function(func)


def grid_search(values: Iterable[Any]) -> dict[str, list[Any]]:
    """All of several values, each in a trial of its own; several grids multiply.

    Args:
        values: The values.
    """
    return {"grid_search": list(values)}
