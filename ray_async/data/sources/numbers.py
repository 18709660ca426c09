"""Ranges: numbers from zero, alone or as tensors."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from math import prod

import numpy as np
import pyarrow as pa

from ray_async.data.block.tensors import tensor_column
from ray_async.data.sources.base import Parallelism, RowSource

__all__ = ("RangeSource",)


@dataclass(frozen=True)
class RangeSource(RowSource):
    """The numbers below a limit.

    Attributes:
        rows: how many.
        shape: of the tensor that is filled with each number; None for plain numbers in a column ``id``.
    """

    rows: int
    shape: tuple[int, ...] | None = None
    name = "Range"

    def schema(self) -> pa.Schema:
        return self._table(0, 0).schema

    def count(self) -> int:
        return self.rows

    def size(self) -> int:
        return 8 * self.rows * prod(self.shape or ())

    def reads(self, parallelism: Parallelism) -> Sequence[tuple[int, int]]:
        count = parallelism.count(self.rows, self.size())
        bounds = [self.rows * index // count for index in range(count + 1)]
        return list(itertools.pairwise(bounds))

    def read(self, params: tuple[int, int]) -> Iterator[pa.Table]:
        yield self._table(*params)

    def first(self, rows: int) -> RowSource:
        return replace(self, rows=min(rows, self.rows))

    def _table(self, start: int, stop: int) -> pa.Table:
        numbers = np.arange(start, stop, dtype=np.int64)
        if self.shape is None:
            return pa.table({"id": numbers})
        full = np.broadcast_to(numbers.reshape((-1,) + (1,) * len(self.shape)), (len(numbers), *self.shape))
        return pa.table({"data": tensor_column(full)})
