"""Medians of rounds, and ratios taken within a round."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

__all__ = ("Summary", "ratio_per_round", "summarize")


@dataclass(frozen=True)
class Summary:
    """Median, smallest and largest of some rounds."""

    median: float
    low: float
    high: float
    rounds: int


def summarize(values: Sequence[float]) -> Summary | None:
    """Summarize the values of several rounds; None when there are none.

    Example: `summarize([3.0, 1.0, 2.0]).median == 2.0`.
    """
    if not values:
        return None
    return Summary(statistics.median(values), min(values), max(values), len(values))


def ratio_per_round(costs: Mapping[int, float], base: Mapping[int, float]) -> list[float]:
    """Divide each round's cost by the base's cost of the *same* round; rounds that miss either are left out.

    The machine's speed drifts between rounds, and cancels within one. A base of zero has no ratio and is left out.

    Example: `ratio_per_round({0: 4.0, 1: 9.0}, {0: 2.0, 1: 3.0}) == [2.0, 3.0]`.
    """
    return [costs[index] / base[index] for index in sorted(costs) if base.get(index, 0) > 0]
