"""Partitioning: rows with equal keys in the same block, by the keys' hashes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import pyarrow as pa

from ray_async.data.block.schema import concatenated
from ray_async.data.engine.ordering import sorted_table
from ray_async.data.executor.instructions import BarrierStep, StageCall, StageResult, Steps
from ray_async.data.operators.exchange import Exchange, SplitRows, parts_of
from ray_async.data.operators.grouping import HashedParts
from ray_async.data.operators.map_operator import Value

__all__ = ("PartitionStrategy",)


@dataclass(frozen=True)
class OneBlock:
    """All rows of the bundles as one block, in the order of columns if there are some."""

    sort: tuple[str, ...] = ()

    def __call__(self, inputs: Sequence[Sequence[pa.Table]]) -> Iterator[pa.Table | Value]:
        table = concatenated([table for bundle in inputs for table in bundle])
        ordered = self.sort and table.num_columns
        yield sorted_table(table, self.sort, [False] * len(self.sort)) if ordered else table


@dataclass(frozen=True)
class PartitionStrategy(Exchange):
    """So many blocks, each with all rows of its keys.

    Attributes:
        keys: the keys.
        blocks: how many blocks; some may have no rows.
        sort: whether each block is sorted by the keys.
    """

    keys: tuple[str, ...]
    blocks: int
    sort: bool
    call_bytes: int = -1

    def split(self, side: int, first_row: int, folder: str | None) -> SplitRows:
        return SplitRows(HashedParts(self.keys, self.blocks), folder)

    def merge(self, runs: Sequence[Sequence[StageResult]], folder: str | None) -> Steps:
        merge = OneBlock(self.keys if self.sort else ())
        parts = parts_of(runs[0], [(part, part + 1) for part in range(self.blocks)])
        yield BarrierStep((StageCall(merge, (part,)) for part in parts), last=True)
        return ()
