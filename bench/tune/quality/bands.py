"""Bands: the best so far over several seeds, as a mean with its 95 % confidence band."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

__all__ = ("Band", "band", "best_so_far", "paired")

# Draws of the bootstrap.
DRAWS = 2000


@dataclass(frozen=True)
class Band:
    """Curves of several seeds.

    Args:
        mean: Their mean.
        low: The lower end of its band.
        high: The upper end.
    """

    mean: Any
    low: Any
    high: Any


def best_so_far(values: Sequence[float], budget: int) -> list[float]:
    """The least value after each of so many reports; a search that ended before stays where it is.

    Args:
        values: What was reported, in order.
        budget: Reports.

    Example:
        >>> best_so_far([3.0, 5.0, 2.0], 5)
        [3.0, 3.0, 2.0, 2.0, 2.0]
    """
    best: list[float] = np.minimum.accumulate(values[:budget]).tolist()
    return best + best[-1:] * (budget - len(best))


def band(curves: Sequence[Sequence[float]]) -> Band:
    """The mean of curves, and where it lies in 95 % of draws of as many seeds (bootstrap; Efron, 1979).

    Args:
        curves: A curve for each seed.
    """
    rows = np.asarray(curves, dtype=float)
    chosen = np.random.default_rng(0).integers(len(rows), size=(DRAWS, len(rows)))
    low, high = np.percentile(np.stack([rows[draw].mean(axis=0) for draw in chosen]), [2.5, 97.5], axis=0)
    return Band(rows.mean(axis=0), low, high)


def paired(ours: Sequence[float], reference: Sequence[float]) -> tuple[float, float, float]:
    """The mean of differences by seed, and its 95 % confidence interval.

    Args:
        ours: A value for each seed.
        reference: The same of the other contender.
    """
    differences = band([[a - b] for a, b in zip(ours, reference, strict=True)])
    return float(differences.mean[0]), float(differences.low[0]), float(differences.high[0])
