"""Variants: the configs that a search space stands for, grids multiplied and domains drawn.

A path is the keys and indices that lead to a value. Resolving goes in rounds: grids first, then domains, those that
functions read before the functions; what a drawn value holds of further domains is resolved in the next round.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from ray_async.tune.error import TuneError
from ray_async.tune.search.domain import Categorical, Domain
from ray_async.tune.search.function_domain import RecursiveDependencyError, unresolved
from ray_async.tune.search.random_source import RandomSource
from ray_async.tune.search.search_properties import logger

__all__ = (
    "Path",
    "assign",
    "count_variants",
    "flatten_path",
    "format_vars",
    "generate_variants",
    "grid_size",
    "has_unresolved_values",
    "logger",
    "lookup",
    "prepared",
    "unresolved_values",
)

Path = tuple[Any, ...]
# Neither letter nor digit of any language, nor one of these.
_UNCLEAN = re.compile(r"[^\w\-.,=+]")


def unresolved_values(space: Any, path: Path = ()) -> Iterator[tuple[Path, Any]]:
    """Paths and values of all that is still to be drawn.

    Args:
        space: A search space.
        path: Where in a larger one it lies.
    """
    if unresolved(space):
        yield path, space
    elif isinstance(space, dict):
        for key, value in space.items():
            yield from unresolved_values(value, (*path, key))
    elif type(space) in (list, tuple):
        for index, value in enumerate(space):
            yield from unresolved_values(value, (*path, index))


def has_unresolved_values(space: Any) -> bool:
    """Tell whether anything is still to be drawn.

    Args:
        space: A search space, or a config.
    """
    return next(unresolved_values(space), None) is not None


def _grid_values(value: Any, path: Path) -> list[Any] | None:
    if isinstance(value, Domain):
        return list(value.categories) if isinstance(value, Categorical) and value.is_grid() else None
    values = value["grid_search"]
    if isinstance(values, range):
        return list(values)
    if not isinstance(values, list):
        raise TuneError(f"grid_search at {flatten_path(path)} takes a list of values, but got {values!r}")
    return values


def grid_size(space: Any) -> int:
    """How many combinations the grids of a space have.

    Args:
        space: A search space.
    """
    size = 1
    for path, value in unresolved_values(space):
        values = _grid_values(value, path)
        size *= len(values) if values is not None else 1
    return size


def count_variants(space: Any, num_samples: int, points: int = 0) -> int:
    """How many trials a space gives, grids inside of drawn values not counted.

    Args:
        space: A search space.
        num_samples: How often it is sampled.
        points: How many of the samples are given by the user.
    """
    return grid_size(space) * max(num_samples, points)


Prepared = tuple[list[tuple[Path, list[Any]]], list[tuple[Path, Any]]]


def prepared(space: Any) -> Prepared:
    """Grids with their values, and domains, of a space: by path.

    Args:
        space: The search space.
    """
    found = list(unresolved_values(space))
    grids = [(path, values) for path, value in found if (values := _grid_values(value, path)) is not None]
    fixed = {path for path, _ in grids}
    return grids, [(path, value) for path, value in found if path not in fixed]


def generate_variants(
    space: Mapping[str, Any],
    random_state: Any = None,
    constant_grid_search: bool = False,
    known: Prepared | None = None,
) -> Iterator[tuple[dict[Path, Any], dict[str, Any]]]:
    """All configs of one sample of a space: one, or one for each combination of its grids.

    Args:
        space: The search space.
        random_state: A function that gives the random state of each variant by its number; or one for all: a seed, a
            generator or random state of NumPy, or None for NumPy's global state.
        constant_grid_search: Whether all combinations share what is drawn.
        known: What `prepared` gives for the space, where the caller has it.

    Yields:
        The values that were drawn, by path, and the config.

    Raises:
        ValueError: Functions wait for each other's values.
    """
    state_of: Callable[[int], Any] = random_state if callable(random_state) else lambda _: shared
    shared = None if callable(random_state) else RandomSource.of(random_state)
    grids, domains = known if known is not None else prepared(space)
    constant: dict[Path, Any] = {}
    if constant_grid_search:
        constant = _draw(_copied(space), domains, state_of(0), allow_missing=True)
        domains = [(path, value) for path, value in domains if path not in constant]
    for number, combination in enumerate(_combinations([values for _, values in grids])):
        spec = _copied(space)
        drawn: dict[Path, Any] = {}
        for (path, _), value in zip(grids, combination, strict=True):
            drawn[path] = value
            spec = assign(spec, path, _copied(value))
        for path, value in constant.items():
            drawn[path] = value
            spec = assign(spec, path, _copied(value))
        state = state_of(number)
        drawn.update(_draw(spec, domains, state))
        if any(isinstance(value, (dict, list, tuple, Domain)) for value in drawn.values()):
            yield from _inner_variants(drawn, spec, state, constant_grid_search)
        else:
            yield drawn, spec


def _inner_variants(
    drawn: dict[Path, Any], spec: Any, state: Any, constant: bool
) -> Iterator[tuple[dict[Path, Any], dict[str, Any]]]:
    """Variants of what drawn values hold of domains and grids of their own."""
    if not has_unresolved_values(spec):
        yield drawn, spec
        return
    for inner, config in generate_variants(spec, lambda _: state, constant):
        yield {**drawn, **inner}, config


def _combinations(grids: list[list[Any]]) -> Iterator[tuple[Any, ...]]:
    """All combinations; the first grid varies fastest."""
    if not grids:
        yield ()
        return
    for rest in _combinations(grids[1:]):
        for value in grids[0]:
            yield (value, *rest)


def _draw(spec: Any, domains: list[tuple[Path, Domain]], state: Any, allow_missing: bool = False) -> dict[Path, Any]:
    """Draw domains of a spec, in place, those first that functions read."""
    drawn: dict[Path, Any] = {}
    waiting = domains
    while waiting:
        later: list[tuple[Path, Domain]] = []
        error: RecursiveDependencyError | None = None
        for path, domain in waiting:
            try:
                value = domain.sample(spec, random_state=state)
            except RecursiveDependencyError as reason:
                error = reason
                later.append((path, domain))
            except Exception as reason:
                raise ValueError(
                    f"failed to draw a value of {flatten_path(path)!r} ({domain.domain_str}): "
                    f"{type(reason).__name__}: {reason}"
                ) from reason
            else:
                drawn[path] = value
                assign(spec, path, _copied(value))
        if len(later) == len(waiting):
            if allow_missing:
                return drawn
            names = ", ".join(repr(flatten_path(path)) for path, _ in later)
            raise RecursiveDependencyValueError(f"functions wait for each other's values: {names}") from error
        waiting = later
    return drawn


class RecursiveDependencyValueError(RecursiveDependencyError, ValueError):
    """Functions of a search space wait for each other's values.

    Args:
        message: Which ones.
    """


def assign(spec: Any, path: Path, value: Any) -> Any:
    """Put a value into a nested structure, in place where that can be.

    Args:
        spec: The structure; tuples in it are replaced.
        path: Where the value belongs.
        value: The value.

    Returns:
        The structure.
    """
    if not path:
        return value
    if len(path) == 1 and type(spec) is dict:
        spec[path[0]] = value
        return spec
    key, rest = path[0], path[1:]
    if isinstance(spec, tuple):
        return tuple(assign(item, rest, value) if index == key else item for index, item in enumerate(spec))
    spec[key] = assign(spec[key], rest, value) if rest else value
    return spec


def lookup(spec: Any, path: Path) -> Any:
    """The value at a path.

    Args:
        spec: A nested structure.
        path: Keys and indices.

    Raises:
        KeyError, IndexError: Nothing is there.
    """
    for key in path:
        spec = spec[key]
    return spec


def _copied(value: Any) -> Any:
    """A copy of the containers, so that no trial's change to them shows in another trial."""
    if type(value) is dict:
        return {key: _copied(item) for key, item in value.items()}
    if type(value) is list:
        return [_copied(item) for item in value]
    if type(value) is tuple:
        return tuple(_copied(item) for item in value)
    return value


def flatten_path(path: Path) -> str:
    """A path as one string.

    Args:
        path: Keys and indices.
    """
    return "/".join(str(part) for part in path)


def format_vars(drawn: Mapping[Path, Any]) -> str:
    """Values that were drawn, as the tag of a trial has them.

    Args:
        drawn: Values by path.
    """
    parts = []
    for path, value in drawn.items():
        kind = type(value)
        # Of digits, dots and signs nothing is to be replaced.
        text = f"{value:.4f}" if kind is float else str(value) if kind is int else _clean(_shown(value))
        parts.append(f"{_tag(path)}={text}")
    return ",".join(parts)


def _shown(value: Any) -> str:
    return f"{value:.4f}" if isinstance(value, float) else str(value)


@functools.lru_cache(maxsize=1024)
def _tag(path: Path) -> str:
    names = [str(part) for part in path if str(part) != "config"]
    return _clean("_".join(names[-1:] if not names or not names[-1].isdigit() else names[-2:]))


def _clean(text: str) -> str:
    """Text with what cannot be part of a file's name replaced."""
    return _UNCLEAN.sub("_", text)
