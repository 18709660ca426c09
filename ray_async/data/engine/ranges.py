"""Rows put into ranges of a column of numbers that follow each other, so that each range can be sorted by itself."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

if TYPE_CHECKING:
    import polars as pl

__all__ = ("range_numbers",)

Numbers: TypeAlias = "np.ndarray[Any, np.dtype[np.uint8]]"

_SAMPLES = 4096
#: A range may be as much larger than the mean; beyond, there are too many equal keys for this.
_UNEVEN = 2


def range_numbers(keys: pl.Series, ranges: int, *, descending: bool) -> Numbers | None:
    """For each row the number of its range; rows of lower ranges come before those of higher ones in the sorted order.

    Args:
        keys: the column by which is sorted first. Null comes last, and NaN before it, in both directions.
        ranges: how many there are, 255 at most.
        descending: whether larger ones come first.

    Returns:
        None where there is nothing to win: one range, keys that are no numbers, or too many equal ones.
    """
    import polars as pl

    if ranges < 2 or not keys.dtype.is_numeric():
        return None
    ranges = min(ranges, 255)
    last = keys.is_null() | keys.is_nan() if keys.dtype.is_float() else keys.is_null()
    samples = keys.filter(~last).gather_every(max(1, len(keys) // _SAMPLES)).sort(descending=descending)
    numbers = last.cast(pl.UInt8) * (ranges - 1)
    for index in range(1, ranges):
        if not len(samples):
            return None
        cut = samples[len(samples) * index // ranges]
        behind = (keys <= cut) if descending else (keys >= cut)
        numbers += (behind & ~last).fill_null(False).cast(pl.UInt8)
    found = numbers.to_numpy()
    return found if np.bincount(found).max() * ranges <= _UNEVEN * len(found) else None
