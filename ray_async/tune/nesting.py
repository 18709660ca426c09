"""Nesting: dicts inside of dicts, flattened to one dict whose keys are paths, and put together again."""

from __future__ import annotations

import copy
import itertools
from collections.abc import Mapping, Sequence
from typing import Any

__all__ = ("deep_update", "flatten_dict", "merge_dicts", "unflatten_dict", "unflatten_list_dict", "unflattened_lookup")


def flatten_dict(
    dt: Mapping[str, Any], delimiter: str = "/", prevent_delimiter: bool = False, flatten_list: bool = False
) -> Any:
    """A nest as one dict of the same type; the nest stays as it is.

    Args:
        dt: The nest.
        delimiter: What joins the keys.
        prevent_delimiter: Whether a key that has the delimiter is refused.
        flatten_list: Whether lists are flattened too, their indices as keys.

    Raises:
        ValueError: A key has the delimiter.
    """
    flat: Any = type(dt)()

    def add(prefix: str, items: Any) -> None:
        for key, value in items:
            if prevent_delimiter and delimiter in str(key):
                raise ValueError(f"the key {key!r} has the delimiter {delimiter!r}")
            name = f"{prefix}{delimiter}{key}" if prefix else key
            if isinstance(value, dict):
                add(str(name), value.items())
            elif flatten_list and isinstance(value, list):
                add(str(name), enumerate(value))
            else:
                flat[name] = value

    add("", dt.items())
    return flat


def unflatten_dict(dt: Mapping[str, Any], delimiter: str = "/") -> Any:
    """A flattened dict as a nest of dicts of the same type.

    Args:
        dt: Values by path.
        delimiter: What joins the keys.

    Raises:
        TypeError: A path leads through a value.
    """
    kind: Any = type(dt)
    nest = kind()
    for path, value in dt.items():
        *outer, last = str(path).split(delimiter)
        inner = nest
        for part in outer:
            inner = inner.setdefault(part, kind())
            if not isinstance(inner, kind):
                raise TypeError(
                    f"Cannot unflatten dict: the key {path!r} leads through {part!r}, which has the value {inner!r}"
                )
        if last in inner and isinstance(inner[last], kind) and inner[last] and not isinstance(value, kind):
            raise TypeError(f"Cannot unflatten dict: the key {path!r} has a value and keys below it")
        inner[last] = value
    return nest


def unflatten_list_dict(dt: Mapping[str, Any], delimiter: str = "/") -> Any:
    """A flattened dict as a nest of dicts and lists: keys that are numbers are indices, in ascending order.

    Args:
        dt: Values by path.
        delimiter: What joins the keys.

    Raises:
        ValueError: Indices out of order.
    """
    first = next(iter(dt), "")
    nest: Any = [] if first.split(delimiter)[0].isdigit() else type(dt)()
    for path, value in dt.items():
        parts = path.split(delimiter)
        inner = nest
        for part, following in itertools.pairwise(parts):
            inner = _entered(inner, part, [] if following.isdigit() else {}, path)
        _entered(inner, parts[-1], value, path)
    return nest


def _entered(container: Any, part: str, default: Any, path: str) -> Any:
    """The item of a container, put there if it is missing."""
    if isinstance(container, dict):
        return container.setdefault(part, default)
    index = int(part)
    if index > len(container):
        raise ValueError(f"the indices of a list must ascend from 0: {path!r}")
    if index == len(container):
        container.append(default)
    return container[index]


def unflattened_lookup(flat_key: str, lookup: Any, delimiter: str = "/", **kwargs: Any) -> Any:
    """The value of a path in a nest of dicts and lists.

    Args:
        flat_key: The path.
        lookup: The nest.
        delimiter: What joins the keys.
        kwargs: ``default``: what is returned where nothing is.

    Raises:
        KeyError: Nothing is there.
    """
    if isinstance(lookup, Mapping) and flat_key in lookup:
        return lookup[flat_key]
    found = lookup
    try:
        for part in flat_key.split(delimiter):
            is_list = isinstance(found, Sequence) and not isinstance(found, (str, bytes))
            found = found[int(part)] if is_list else found[part]
    except (KeyError, IndexError, TypeError, ValueError):
        if "default" in kwargs:
            return kwargs["default"]
        raise KeyError(flat_key) from None
    return found


def merge_dicts(d1: Mapping[str, Any], d2: Mapping[str, Any]) -> dict[str, Any]:
    """A copy of one nest with another one put over it.

    Args:
        d1: The first nest.
        d2: The other one, whose values win.
    """
    return deep_update(copy.deepcopy(dict(d1)), d2, new_keys_allowed=True)


def deep_update(
    original: dict[str, Any], new_dict: Mapping[str, Any], new_keys_allowed: bool = False
) -> dict[str, Any]:
    """Put a nest over another one, in place.

    Args:
        original: The nest that is changed.
        new_dict: The other one.
        new_keys_allowed: Whether it may have keys that the first one has not.

    Raises:
        KeyError: It has such keys.
    """
    for key, value in new_dict.items():
        if key not in original and not new_keys_allowed:
            raise KeyError(f"unknown key {key!r}; there are {sorted(map(str, original))}")
        if isinstance(original.get(key), dict) and isinstance(value, Mapping):
            deep_update(original[key], value, new_keys_allowed)
        else:
            original[key] = value
    return original
