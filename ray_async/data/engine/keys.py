"""Keys: values in a form that is the same for equal ones, in every process."""

from __future__ import annotations

from ray_async.data.aggregate.functions import hashable

__all__ = ("steady",)


def steady(value: object) -> object:
    """A value whose text is the same for equal values."""
    if isinstance(value, (int, float)) and not isinstance(value, bool) and value == value and abs(value) < float("inf"):
        return int(value) if value == int(value) else value
    return hashable(value)
