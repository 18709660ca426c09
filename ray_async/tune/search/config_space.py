"""Config space: dimensions as the package ConfigSpace has them, for the searchers whose libraries build on it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ray_async.tune.search.dimension import Dimension

try:
    from ConfigSpace import CategoricalHyperparameter, Configuration, ConfigurationSpace
except ModuleNotFoundError as error:
    raise ImportError("this searcher needs ConfigSpace: pip install ConfigSpace") from error

from ConfigSpace.hyperparameters import (
    NormalFloatHyperparameter,
    UniformFloatHyperparameter,
    UniformIntegerHyperparameter,
)

__all__ = ("configuration", "configuration_space", "plain_values")


def configuration_space(dimensions: Mapping[str, Dimension], seed: int | None) -> Any:
    """A space of ConfigSpace for dimensions.

    Args:
        dimensions: Dimensions by path.
        seed: Seed of its random numbers.
    """
    space = ConfigurationSpace(seed=seed)
    for name, one in dimensions.items():
        if one.choices is not None:
            parameter: Any = CategoricalHyperparameter(name, list(range(len(one.choices))))
        elif one.normal is not None:
            parameter = NormalFloatHyperparameter(name, *one.normal, lower=-1e300, upper=1e300)
        elif one.integer and one.lower < one.upper:
            parameter = UniformIntegerHyperparameter(name, int(one.lower), int(one.upper), log=one.log)
        elif one.integer:
            parameter = CategoricalHyperparameter(name, [int(one.lower)])
        else:
            parameter = UniformFloatHyperparameter(name, float(one.lower), float(one.upper), log=one.log)
        space.add(parameter)
    return space


def configuration(space: Any, values: Mapping[str, Any]) -> Any:
    """A configuration of a space.

    Args:
        space: The space.
        values: Numbers, or indices of choices, by path; some may be missing where the space has conditions.
    """
    return Configuration(space, values=dict(values), allow_inactive_with_values=False)


def plain_values(found: Mapping[str, Any]) -> dict[str, Any]:
    """The values of a configuration as Python types.

    Args:
        found: The configuration, as a dict.
    """
    return {str(name): value.item() if hasattr(value, "item") else value for name, value in dict(found).items()}
