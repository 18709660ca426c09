"""Metric: a value of a result by name, and its rank.

A name is a key of the result, or the keys of a nest joined by slashes; where both are there, the key wins. NaN is worse
than any number, and what is no number is worse than NaN.
"""

from __future__ import annotations

import math
import numbers
from collections.abc import Mapping
from typing import Any

__all__ = ("MISSING", "check_mode", "flatten", "lookup", "number", "rank", "score")

MISSING = object()


def lookup(result: Mapping[str, Any], name: str, default: Any = MISSING) -> Any:
    """The metric of a name.

    Args:
        result: A result.
        name: The metric's name.
        default: What is returned where there is none.
    """
    if name in result:
        return result[name]
    if "/" not in name:
        return default
    found: Any = result
    for part in name.split("/"):
        if not isinstance(found, Mapping) or part not in found:
            return default
        found = found[part]
    return found


def number(value: Any) -> float | None:
    """A metric as a float; None for what is no number.

    Args:
        value: The metric.
    """
    if isinstance(value, float):
        return value
    if isinstance(value, (str, bytes)) or value is None or value is MISSING:
        return None
    if isinstance(value, numbers.Real) or hasattr(value, "__float__"):
        try:
            return float(value)
        except (TypeError, ValueError):  # an array of several values
            return None
    return None


def score(result: Mapping[str, Any], name: str, mode: str) -> float:
    """A metric such that larger is better; NaN where it is none.

    Args:
        result: A result.
        name: The metric's name.
        mode: ``"min"`` or ``"max"``.
    """
    value = number(lookup(result, name))
    if value is None:
        return math.nan
    return value if mode == "max" else -value


def rank(value: float) -> tuple[bool, float]:
    """A key that sorts scores, NaN lowest.

    Args:
        value: A score.
    """
    return (False, 0.0) if math.isnan(value) else (True, value)


def check_mode(mode: Any, optional: bool = True) -> None:
    """Check a mode.

    Args:
        mode: What was given.
        optional: Whether None will do.

    Raises:
        ValueError: It is neither ``"min"`` nor ``"max"``.
    """
    if mode not in ("min", "max") and not (optional and mode is None):
        raise ValueError(f"mode must be 'min' or 'max', but is {mode!r}")


def flatten(nested: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """A nest of dicts as one dict, its keys joined by slashes.

    Args:
        nested: The nest.
        prefix: What all keys begin with.
    """
    flat: dict[str, Any] = {}
    for key, value in nested.items():
        name = f"{prefix}{key}"
        if isinstance(value, Mapping) and value:
            flat.update(flatten(value, f"{name}/"))
        else:
            flat[name] = value
    return flat
