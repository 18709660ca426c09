"""Zipping: rows of several datasets side by side."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import pyarrow as pa

from ray_async.data.block.bundle import RowBundle
from ray_async.data.block.schema import concatenated
from ray_async.data.executor.instructions import BarrierStep, StageCall, Steps
from ray_async.data.operators.map_operator import Value

__all__ = ("ZipStrategy",)


@dataclass(frozen=True)
class JoinColumns:
    """The columns of all bundles, which have the same number of rows."""

    def __call__(self, inputs: Sequence[Sequence[pa.Table]]) -> Iterator[pa.Table | Value]:
        from ray_async.data.plan.nodes import zipped_names

        tables = [concatenated(tables) for tables in inputs]
        names = zipped_names([table.column_names for table in tables])
        yield pa.Table.from_arrays([column for table in tables for column in table.columns], names=names)


@dataclass(frozen=True)
class ZipStrategy:
    """Rows side by side; the blocks of the largest dataset decide how the others are cut.

    Raises:
        ValueError: The datasets differ in their number of rows.
    """

    def steps(self, inputs: Sequence[Sequence[RowBundle]]) -> Steps:
        counts = [sum(bundle.rows for bundle in bundles) for bundles in inputs]
        if len(set(counts)) > 1:
            raise ValueError(f"Cannot zip datasets of different number of rows: {', '.join(map(str, counts))}")
        sizes_in_bytes = [sum(bundle.bytes for bundle in bundles) for bundles in inputs]
        largest = inputs[sizes_in_bytes.index(max(sizes_in_bytes))]
        sizes = [bundle.rows for bundle in largest]
        sides = [RowBundle.of(bundles).cut(sizes) for bundles in inputs]
        yield BarrierStep(tuple(StageCall(JoinColumns(), row) for row in zip(*sides, strict=True)), last=True)
        return ()
