"""Renewal of a search space: what a restore gives anew takes the place of what the search had.

Values that were drawn stay as they were. What changes are constants, and the values of choices and grids: above all
references, whose objects have gone with the session in which the search began.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from ray_async.tune.journal.pickling import can_be_pickled, dumps
from ray_async.tune.search.domain import Categorical, Domain
from ray_async.tune.search.variant_generator import Path, assign, flatten_path, lookup

__all__ = ("Renewal", "renew_space")

_logger = logging.getLogger("ray_async.tune")
# An old value at a path of the space, and the one that takes its place.
Change = tuple[Path, Any, Any]


class Renewal:
    """Values of a search space that others have taken the place of.

    Args:
        changes: The values, by path.
    """

    def __init__(self, changes: Sequence[Change]) -> None:
        self._changes = list(changes)

    def __bool__(self) -> bool:
        return bool(self._changes)

    def config(self, config: dict[str, Any]) -> dict[str, Any]:
        """A config with the new values; the config itself where none is in it.

        Args:
            config: The config as it was.
        """
        new = config
        for path, before, after in self._changes:
            try:
                value = lookup(config, path)
            except (KeyError, IndexError, TypeError):  # a part of the space that this config has not
                continue
            if _same(value, before):
                new = assign(_copied(config) if new is config else new, path, after)
        return new

    def drawn(self, drawn: Mapping[Path, Any]) -> dict[Path, Any]:
        """Drawn values with the new ones.

        Args:
            drawn: The values by path.
        """
        new = dict(drawn)
        for path, before, after in self._changes:
            if path in new and _same(new[path], before):
                new[path] = after
        return new


def renew_space(old: Mapping[str, Any], new: Mapping[str, Any]) -> tuple[dict[str, Any], Renewal]:
    """A search space with other objects in it.

    Args:
        old: The space of the search.
        new: The same space, with new objects.

    Returns:
        The space with the new objects and the old domains, and what has changed.

    Raises:
        ValueError: The spaces have other keys, or a choice or grid has another number of values.
    """
    changes: list[Change] = []
    missing, added = _keys(old) - _keys(new), _keys(new) - _keys(old)
    if missing or added:
        raise ValueError(
            f"a restored search has the keys that it had: missing are {sorted(missing)}, new are {sorted(added)}"
        )
    merged: dict[str, Any] = _merged(old, new, (), changes)
    return merged, Renewal(changes)


def _keys(space: Any, path: Path = ()) -> set[str]:
    if _values(space) is None and isinstance(space, Mapping) and space:
        return {name for key, value in space.items() for name in _keys(value, (*path, key))}
    return {flatten_path(path)}


def _values(part: Any) -> list[Any] | None:
    """The values of a choice or a grid."""
    if isinstance(part, Categorical):
        return list(part.categories)
    if isinstance(part, Mapping) and len(part) == 1 and isinstance(part.get("grid_search"), list):
        return list(part["grid_search"])
    return None


def _merged(old: Any, new: Any, path: Path, changes: list[Change]) -> Any:
    values, others = _values(old), _values(new)
    if values is not None:
        return _merged_values(old, values, others, path, changes)
    if isinstance(old, Domain):
        if not isinstance(new, Domain) or new.domain_str != old.domain_str:
            _logger.warning("the restored search goes on drawing %r from %s", flatten_path(path), old.domain_str)
        return old
    if isinstance(old, Mapping) and isinstance(new, Mapping):
        return {key: _merged(value, new[key], (*path, key), changes) for key, value in old.items()}
    if type(old) is list and type(new) is list and len(old) == len(new):
        return [_merged(a, b, (*path, i), changes) for i, (a, b) in enumerate(zip(old, new, strict=True))]
    if not _same(old, new):
        changes.append((path, old, new))
    return new


def _merged_values(old: Any, values: list[Any], others: list[Any] | None, path: Path, changes: list[Change]) -> Any:
    if others is None or len(others) != len(values):
        count = "none" if others is None else str(len(others))
        raise ValueError(
            f"{flatten_path(path)!r} had {len(values)} values to choose from, and now has {count}: a restored search "
            "has the space that it had"
        )
    merged = list(_merged_each(values, others, path, changes))
    if isinstance(old, Categorical):
        choice = Categorical(merged)
        choice.sampler = old.sampler
        return choice
    return {"grid_search": merged}


def _merged_each(values: list[Any], others: list[Any], path: Path, changes: list[Change]) -> Iterator[Any]:
    for value, other in zip(values, others, strict=True):
        if _same(value, other):
            yield value
        else:
            changes.append((path, value, other))
            yield other


def _same(one: Any, other: Any) -> bool:
    """Tell whether two values are equal, or are pickled to the same bytes where they cannot be compared."""
    if one is other:
        return True
    if type(one) is not type(other):
        return False
    try:
        equal = bool(one == other)
    except Exception:  # of the user's class, or of an array of several values
        equal = False
    # What cannot be pickled is nothing that was kept.
    return equal or (can_be_pickled(one) and can_be_pickled(other) and dumps(one) == dumps(other))


def _copied(value: Any) -> Any:
    if type(value) is dict:
        return {key: _copied(item) for key, item in value.items()}
    return [_copied(item) for item in value] if type(value) is list else value
