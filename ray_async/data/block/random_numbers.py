"""Random numbers for rows: of the seed and the row's number alone, so that work that is done again draws the same."""

from __future__ import annotations

import random
from typing import Any

import numpy as np

__all__ = ("random_keys", "random_shares")


def random_keys(seed: int, start: int, count: int) -> np.ndarray[Any, np.dtype[np.uint64]]:
    """A random 64-bit number for each row from its number alone (SplitMix64, Steele et al., OOPSLA 2014)."""
    with np.errstate(over="ignore"):
        state = np.arange(start + 1, start + count + 1, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15)
        state += np.uint64(random.Random(seed).getrandbits(64))
        state = (state ^ (state >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        state = (state ^ (state >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        return state ^ (state >> np.uint64(31))


def random_shares(seed: int, start: int, count: int) -> np.ndarray[Any, np.dtype[np.float64]]:
    """A random number from 0 to below 1 for each row."""
    return (random_keys(seed, start, count) >> np.uint64(11)) * 2.0**-53
