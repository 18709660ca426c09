"""Arrays of batches as frameworks take them: numbers in one block of memory."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

__all__ = ("dtype_of", "stacked")


def stacked(name: str, array: np.ndarray[Any, Any], framework: str) -> np.ndarray[Any, Any]:
    """A column as one array of numbers.

    Raises:
        TypeError: Its values are no numbers, or arrays of different shapes; the column is named.
    """
    if array.dtype == object:
        try:
            array = (
                np.stack([np.array(list(value) if np.ndim(value) else value) for value in array])
                if len(array)
                else array.astype(np.float64)
            )
        except ValueError:
            raise TypeError(
                f"column {name!r} has arrays of different shapes, of which {framework} makes no tensor: use collate_fn"
            ) from None
    if array.dtype.kind not in "biufc":
        raise TypeError(
            f"column {name!r} is {array.dtype}, for which {framework} has no type: drop it, or use collate_fn"
        )
    return array


def dtype_of(dtypes: Any, name: str) -> Any:
    """The dtype that is asked for a column: one for all, or one for each; None for its own."""
    if dtypes is None:
        return None
    return dtypes.get(name) if isinstance(dtypes, Mapping) else dtypes
