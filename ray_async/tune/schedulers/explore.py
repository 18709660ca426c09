"""Explore: a config changed a little, as population based training does it."""

from __future__ import annotations

import copy
import math
import random
from collections.abc import Mapping, Sequence
from typing import Any

from ray_async.tune.error import TuneError
from ray_async.tune.search.domain import Categorical, Domain, Float, Integer, Quantized

__all__ = ("check_mutations", "explored", "filled_config")


def check_mutations(mutations: Mapping[str, Any], path: str = "") -> None:
    """Check what may be mutated, and how.

    Args:
        mutations: By key a list, a domain, a function, or a dict of these.
        path: Where in a larger one they lie.

    Raises:
        TypeError: Something else.
    """
    for key, value in mutations.items():
        name = f"{path}{key}"
        if isinstance(value, Mapping) and "grid_search" not in value:
            check_mutations(value, f"{name}/")
        elif not (isinstance(value, (list, tuple, Domain)) or callable(value)):
            raise TypeError(
                f"hyperparam_mutations[{name!r}] is a list, a domain such as tune.uniform(0, 1), a function or a "
                f"dict of these, but got {value!r}"
            )


def filled_config(config: dict[str, Any], mutations: Mapping[str, Any], source: random.Random) -> dict[str, Any]:
    """A config with values for what is mutated and was not in it.

    Args:
        config: The config, which is changed.
        mutations: What is mutated.
        source: Random numbers.
    """
    for key, value in mutations.items():
        if isinstance(value, Mapping):
            filled_config(config.setdefault(key, {}), value, source)
        elif key not in config:
            config[key] = _drawn(value, source)
    return config


def explored(
    config: Mapping[str, Any],
    mutations: Mapping[str, Any],
    resample_probability: float,
    factors: Sequence[float],
    source: random.Random,
) -> tuple[dict[str, Any], dict[str, Any]]:
    """A config whose mutated values are drawn anew, or changed a little.

    Args:
        config: The config, which stays as it is.
        mutations: What is mutated: lists move to a neighbour, numbers are multiplied.
        resample_probability: How often a value is drawn anew.
        factors: What numbers are multiplied by.
        source: Random numbers.

    Returns:
        The new config, and what changed, by key.

    Raises:
        TuneError: A mutated key that the config lacks.
    """
    new = copy.deepcopy(dict(config))
    changed: dict[str, Any] = {}
    for key, mutation in mutations.items():
        if key not in new:
            raise TuneError(f"hyperparam_mutations names {key!r}, which the config has not: {sorted(map(str, new))}")
        if isinstance(mutation, Mapping):
            new[key], inner = explored(new[key], mutation, resample_probability, factors, source)
            changed.update({f"{key}/{name}": value for name, value in inner.items()})
            continue
        new[key] = _mutated(new[key], mutation, resample_probability, factors, source)
        changed[key] = new[key]
    return new, changed


def _mutated(value: Any, mutation: Any, probability: float, factors: Sequence[float], source: random.Random) -> Any:
    choices = _choices(mutation)
    if choices is not None:
        if source.random() < probability or not any(value is one or value == one for one in choices):
            return source.choice(choices)
        place = next(index for index, one in enumerate(choices) if value is one or value == one)
        place = min(max(place + source.choice((-1, 1)), 0), len(choices) - 1)
        return choices[place]
    if source.random() < probability or not isinstance(value, (int, float)) or isinstance(value, bool):
        return _drawn(mutation, source)
    scaled = value * source.choice(list(factors))
    if isinstance(mutation, Domain):
        return _valid(scaled, mutation)
    return int(scaled) if isinstance(value, int) else scaled


def _choices(mutation: Any) -> list[Any] | None:
    if isinstance(mutation, (list, tuple)):
        return list(mutation)
    return list(mutation.categories) if isinstance(mutation, Categorical) else None


def _drawn(mutation: Any, source: random.Random) -> Any:
    choices = _choices(mutation)
    if choices is not None:
        return source.choice(choices)
    if isinstance(mutation, Domain):
        return mutation.sample(random_state=source)
    return mutation()


def _valid(value: float, domain: Domain) -> Any:
    """The valid value of a domain that is nearest."""
    if not isinstance(domain, (Float, Integer)):
        return domain.cast(value)
    sampler = domain.get_sampler()
    quantum = sampler.q if isinstance(sampler, Quantized) else 1 if isinstance(domain, Integer) else None
    upper: float = domain.upper
    if isinstance(domain, Integer) and not (isinstance(sampler, Quantized) and sampler.q != 1):
        upper = domain.upper - 1
    value = min(max(value, domain.lower), upper)
    if quantum is not None:
        value = round(value / quantum) * quantum
        if value > upper:
            value = math.floor(upper / quantum) * quantum
        if value < domain.lower:
            value = math.ceil(domain.lower / quantum) * quantum
        value = value if isinstance(quantum, int) else round(value, 12)
    return domain.cast(value)
