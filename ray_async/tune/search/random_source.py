"""Random source: one face for NumPy's generators, its older random states, seeds, and its global state."""

from __future__ import annotations

from typing import Any

import numpy as np

__all__ = ("RandomSource",)


class RandomSource:
    """Random numbers for the samplers of domains.

    Args:
        state: A ``numpy.random.Generator`` or ``RandomState``, a seed, or None for NumPy's global state.
    """

    def __init__(self, state: Any = None) -> None:
        if isinstance(state, RandomSource):
            state = state.state
        elif isinstance(state, (int, np.integer)):
            state = np.random.default_rng(int(state))
        self.state: Any = np.random if state is None else state

    def uniform(self, low: float, high: float) -> float:
        """A float in [low, high)."""
        return float(self.state.uniform(low, high))

    def normal(self, mean: float, sd: float) -> float:
        """A float of a normal distribution."""
        return float(self.state.normal(mean, sd))

    def integer(self, low: int, high: int) -> int:
        """An int in [low, high)."""
        if isinstance(self.state, np.random.Generator):
            return int(self.state.integers(low, high))
        return int(self.state.randint(low, high))

    def seed(self) -> int:
        """A seed for another source."""
        return self.integer(0, 2**31 - 1)
