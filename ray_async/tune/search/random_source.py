"""Random source: one face for Python's random numbers, NumPy's generators and older random states, seeds, and NumPy's
global state."""

from __future__ import annotations

import numbers
import random
import sys
from typing import Any

__all__ = ("RandomSource", "seed_of")


class RandomSource:
    """Random numbers for the samplers of domains.

    Args:
        state: A ``random.Random``, a ``numpy.random.Generator`` or ``RandomState``, a seed, or None for NumPy's global
            state.
    """

    __slots__ = ("_python", "state")

    def __init__(self, state: Any = None) -> None:
        self._python = isinstance(state, random.Random)
        if not self._python and (state is None or isinstance(state, numbers.Integral)):
            # NumPy takes a tenth of a second to load, so a search that does not need it goes without.
            import numpy as np

            state = np.random if state is None else np.random.default_rng(int(state))
        self.state: Any = state

    @classmethod
    def of(cls, state: Any) -> RandomSource:
        """The source itself, or one of a state.

        Args:
            state: A source, or what the class takes.
        """
        return state if isinstance(state, RandomSource) else cls(state)

    def uniform(self, low: float, high: float) -> float:
        """A float in [low, high)."""
        if self._python:
            return float(low + (high - low) * self.state.random())
        return float(self.state.uniform(low, high))

    def normal(self, mean: float, sd: float) -> float:
        """A float of a normal distribution."""
        return float(self.state.gauss(mean, sd) if self._python else self.state.normal(mean, sd))

    def integer(self, low: int, high: int) -> int:
        """An int in [low, high)."""
        if self._python:
            return int(self.state.randrange(low, high))
        # Generators have other methods than random states.
        draw = getattr(self.state, "integers", None) or self.state.randint
        return int(draw(low, high))

    def seed(self) -> int:
        """A seed for another source."""
        return self.integer(0, 2**31 - 1)


def seed_of(state: Any) -> int:
    """A seed for a source that is a function of what the user gives.

    Args:
        state: A seed, a generator or random state of NumPy, or None: by NumPy's global state, so that
            ``numpy.random.seed`` counts. Where nobody has loaded NumPy nobody has set that, and the seed is any.
    """
    if isinstance(state, numbers.Integral):
        return int(state)
    if state is None and "numpy" not in sys.modules:
        return random.SystemRandom().getrandbits(31)
    return RandomSource.of(state).seed()
