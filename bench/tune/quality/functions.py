"""Test functions, with their minima: Branin and Hartmann6, on the unit cube."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

__all__ = ("BRANIN_MINIMUM", "HARTMANN6_MINIMUM", "branin", "hartmann6")

BRANIN_MINIMUM, HARTMANN6_MINIMUM = 0.397887, -3.32237

_ALPHA = np.array([1.0, 1.2, 3.0, 3.2])
_A = np.array(
    [[10, 3, 17, 3.5, 1.7, 8], [0.05, 10, 17, 0.1, 8, 14], [3, 3.5, 1.7, 10, 17, 8], [17, 8, 0.05, 10, 0.1, 14]]
)
_P = 1e-4 * np.array(
    [
        [1312, 1696, 5569, 124, 8283, 5886],
        [2329, 4135, 8307, 3736, 1004, 9991],
        [2348, 1451, 3522, 2883, 3047, 6650],
        [4047, 8828, 8732, 5743, 1091, 381],
    ]
)


def branin(point: Sequence[float]) -> float:
    """Branin's function (Dixon and Szegö, 1978) of two numbers from 0 to 1."""
    x, y = 15 * point[0] - 5, 15 * point[1]
    ridge = y - 5.1 / (4 * math.pi**2) * x**2 + 5 / math.pi * x - 6
    return float(ridge**2 + 10 * (1 - 1 / (8 * math.pi)) * math.cos(x) + 10)


def hartmann6(point: Sequence[float]) -> float:
    """Hartmann's function of six numbers from 0 to 1."""
    distances = (_A * (np.asarray(point) - _P) ** 2).sum(axis=1)
    return float(-(_ALPHA * np.exp(-distances)).sum())
