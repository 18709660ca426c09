"""Arrays of JAX made of batches."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from ray_async.data.iteration.numbers import dtype_of, stacked
from ray_async.data.sources.optional import library

__all__ = ("JaxArrays",)


@dataclass
class JaxArrays:
    """Makes arrays of JAX of batches; they share no memory with a block.

    Attributes:
        dtypes: a dtype for all columns, or one for each.
        rows: rows to which a shorter batch is filled up; None leaves it.
        paddings: what it is filled up with, for all columns or for each.
    """

    dtypes: Any = None
    rows: int | None = None
    paddings: Any = None

    def __call__(self, batch: Mapping[str, np.ndarray[Any, Any]]) -> dict[str, Any]:
        numpy = library("jax.numpy", "jax", "iter_jax_batches")
        found = {}
        for name, array in batch.items():
            numbers = self._filled(name, stacked(name, array, "JAX"))
            found[name] = numpy.array(numbers, dtype=dtype_of(self.dtypes, name))
        return found

    def _filled(self, name: str, array: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        value = dtype_of(self.paddings, name)
        if value is None or self.rows is None or len(array) >= self.rows:
            return array
        missing = np.full((self.rows - len(array), *array.shape[1:]), value, dtype=array.dtype)
        return np.concatenate([array, missing])
