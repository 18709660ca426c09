"""Routing: which of the free replicas gets a call. A pure function."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from typing import Protocol, TypeVar

__all__ = ("pick",)


class HasModels(Protocol):
    """Knows which models a replica has."""

    @property
    def models(self) -> Collection[str]:
        """Their ids."""
        ...


C = TypeVar("C", bound=HasModels)


def pick(free: Sequence[tuple[C, int]], model_id: str, chance: Callable[[], float]) -> C | None:
    """Pick the less loaded of two that were drawn by lot (Mitzenmacher, *The power of two choices*, 2001).

    Args:
        free: Replicas that have room, with their load.
        model_id: The model that is asked for: replicas that have it go before all others, then those that have the
            fewest models.
        chance: Gives random numbers from 0 to below 1.

    Returns:
        The replica; None when none is free.
    """
    if model_id:
        free = [item for item in free if model_id in item[0].models] or _with_fewest_models(free)
    if len(free) < 2:
        return free[0][0] if free else None
    first = int(chance() * len(free))
    second = int(chance() * (len(free) - 1))
    second += second >= first
    one, two = free[first], free[second]
    return one[0] if one[1] <= two[1] else two[0]


def _with_fewest_models(free: Sequence[tuple[C, int]]) -> Sequence[tuple[C, int]]:
    fewest = min((len(item[0].models) for item in free), default=0)
    return [item for item in free if len(item[0].models) == fewest]
