"""Global randomness: NumPy's global random numbers, lent to a library that draws from them, and put back afterwards."""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Iterator

import numpy as np

__all__ = ("GlobalRandomness",)


class GlobalRandomness:
    """Random numbers of a library that knows NumPy's global ones alone.

    Args:
        seed: Seed; None: any.
    """

    def __init__(self, seed: int | None) -> None:
        self._state = np.random.RandomState(seed).get_state()

    @contextlib.contextmanager
    def lent(self) -> Iterator[None]:
        """These in place of the global ones, for a ``with`` block without warnings of the library's older names."""
        before = np.random.get_state()
        np.random.set_state(self._state)
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                yield
        finally:
            self._state = np.random.get_state()
            np.random.set_state(before)
