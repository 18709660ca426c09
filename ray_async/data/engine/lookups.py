"""Joins by a table of places: of a side whose keys are whole numbers close together, each there once.

That is how rows refer to those of another table by their numbers. The place of a row is found by its key at once, so
nothing is hashed, and the other side's rows stay in their order.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
import pyarrow as pa

if TYPE_CHECKING:
    import polars as pl

__all__ = ("KeyPlaces", "can_be_places", "places_of")

Integers: TypeAlias = "np.ndarray[Any, np.dtype[Any]]"

#: Entries that a table may have for each key; each has four bytes.
_SPREAD = 8


@dataclass(frozen=True)
class KeyPlaces:
    """Where the row of a key is.

    Attributes:
        low: the least key.
        rows: for each number from there on the row that has it as its key, or -1; and one -1 more.
    """

    low: int
    rows: Integers

    def find(self, keys: pl.Series) -> Integers:
        """The row for each key; -1 where there is none, and for null."""
        missing = keys.is_null().to_numpy() if keys.null_count() else None
        numbers = _numbers(keys)
        end = len(self.rows) - 1
        at = numbers - self.low if self.low else numbers  # wraps around where keys are far away
        if len(at) and (at.min() < 0 or at.max() > end):
            at = np.minimum(at.view(np.uint64), np.uint64(end)).view(np.int64)
        found = self.rows.take(at)
        if missing is not None:
            found[missing] = -1
        return found


def can_be_places(kind: pa.DataType) -> bool:
    """Whether keys of a type may be places: whole numbers that fit into 64 bits with a sign."""
    return bool(pa.types.is_integer(kind)) and kind != pa.uint64()


def places_of(keys: pl.Series) -> KeyPlaces | None:
    """The places of a column's keys; None where a key is there twice, or they are too far apart. Null has no place."""
    known = keys.is_not_null().to_numpy() if keys.null_count() else None
    numbers = _numbers(keys)
    rows = np.arange(len(numbers), dtype=np.int32)
    if known is not None:
        numbers, rows = numbers[known], rows[known]
    if not len(numbers) or len(numbers) >= 2**31:
        return None
    low = int(numbers.min())
    span = int(numbers.max()) - low + 1
    if span > _SPREAD * len(numbers):
        return None
    table = np.full(span + 1, -1, dtype=np.int32)
    table[numbers - low] = rows
    return KeyPlaces(low, table) if np.count_nonzero(table >= 0) == len(numbers) else None


def _numbers(keys: pl.Series) -> Integers:
    """Keys as numbers of 64 bits, zero for null."""
    import polars as pl

    return (keys.fill_null(0) if keys.null_count() else keys).cast(pl.Int64).to_numpy()
