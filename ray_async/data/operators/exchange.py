"""Exchanges: rows that change their bundles by a number that each of them gets, its part.

A call that splits gives its rows as *one* block, sorted by part, and the number of rows in each part. So the rows of a
part are a range of that block, and a thousand calls with a thousand parts give a thousand blocks, not a million. The
block lies in the store, or in a file where the rows of all calls do not fit.
"""

from __future__ import annotations

import itertools
from abc import abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import pyarrow as pa

from ray_async.data.block.bundle import RowBundle
from ray_async.data.block.gathering import gathered
from ray_async.data.block.schema import concatenated
from ray_async.data.executor.instructions import BarrierStep, RunPlan, StageCall, StageResult, Steps
from ray_async.data.operators.map_operator import InFile, Value

__all__ = ("FINE_PARTS", "ROW_BYTES", "Exchange", "PartsOfRows", "SplitRows", "kept_in", "parts_of", "parts_of_size")

#: Parts of rows that do not fit, before those are put together that make about a call's worth of bytes.
FINE_PARTS = 4096

#: Bytes that a call takes for a row beside the row itself: hashes, numbers of groups, orders.
ROW_BYTES = 32


class PartsOfRows(Protocol):
    """The part of each row."""

    def __call__(self, table: pa.Table) -> tuple[pa.Table, np.ndarray[Any, np.dtype[Any]], int]:
        """The table, perhaps with a column more; the part of each row; and the number of parts."""
        ...


@dataclass(frozen=True)
class SplitRows:
    """Rows sorted by their part, in one block.

    Attributes:
        parts: numbers the rows.
        folder: where the block is written; None for the store.
    """

    parts: PartsOfRows
    folder: str | None = None

    def __call__(self, inputs: Sequence[Sequence[pa.Table]]) -> Iterator[pa.Table | InFile | Value]:
        table, part, count = self.parts(concatenated([table for bundle in inputs for table in bundle]))
        if count <= 1 << 16:
            part = part.astype(np.uint16)  # small numbers are sorted by counting
        order = np.argsort(part, kind="stable")
        sizes = np.diff(np.searchsorted(part[order], np.arange(count + 1)))
        del part
        yield kept_in(self.folder, table, pa.array(order))
        yield Value(sizes.astype(np.min_scalar_type(int(sizes.max(initial=0)))))


def kept_in(folder: str | None, table: pa.Table, order: pa.Array) -> pa.Table | InFile:
    """Rows in an order as a block for the store, or for a folder if there is one."""
    if folder is not None:
        return InFile(gathered(table, order), folder)
    return table.take(order) if table.num_columns else table


class Exchange:
    """A strategy that splits its inputs and merges the parts.

    Attributes:
        call_bytes: size up to which one call does all; negative: none does.
    """

    call_bytes: int

    def whole(self, inputs: Sequence[Sequence[RowBundle]]) -> Steps:
        """Plan one call for all rows; of strategies whose `call_bytes` is not negative."""
        raise NotImplementedError(f"{type(self).__name__} has no call for all rows")

    @abstractmethod
    def split(self, side: int, first_row: int, folder: str | None) -> Any:
        """Parameters of a call that splits, as of `RunPlan`."""

    @abstractmethod
    def merge(self, runs: Sequence[Sequence[StageResult]], folder: str | None) -> Steps:
        """Plan the rest, as of `RunPlan`."""

    def runs(self, inputs: Sequence[Sequence[RowBundle]]) -> RunPlan:
        return self

    def steps(self, inputs: Sequence[Sequence[RowBundle]]) -> Steps:
        if sum(bundle.bytes for bundles in inputs for bundle in bundles) <= self.call_bytes:
            return (yield from self.whole(inputs))
        counts = [len(bundles) for bundles in inputs]
        step = BarrierStep([call for side, bundles in enumerate(inputs) for call in self._splits(side, bundles)])
        del inputs  # the blocks go as the calls end
        results = iter((yield step))
        return (yield from self.merge([list(itertools.islice(results, count)) for count in counts], None))

    def _splits(self, side: int, bundles: Sequence[RowBundle]) -> Iterator[StageCall]:
        first = 0
        for bundle in bundles:
            yield StageCall(self.split(side, first, None), (bundle,))
            first += bundle.rows


def parts_of_size(runs: Sequence[Sequence[StageResult]], part_bytes: int) -> list[tuple[int, int]]:
    """Ranges of parts for which calls take about so many bytes each; those without rows are left out."""
    results = [result for side in runs for result in side]
    sizes = np.zeros(len(results[0].value), dtype=np.float64)
    for result in results:
        rows = sum(bundle.rows for bundle in result.outputs)
        sizes += result.value * (sum(bundle.bytes for bundle in result.outputs) / max(1, rows) + ROW_BYTES)
    ranges: list[tuple[int, int]] = []
    start, held = 0, 0.0
    for index, size in enumerate(sizes.tolist()):
        if held and held + size > part_bytes:
            ranges.append((start, index))
            start, held = index, 0.0
        held += size
    if held or not ranges:
        ranges.append((start, len(sizes)))
    return ranges


def parts_of(side: Sequence[StageResult], ranges: Sequence[tuple[int, int]]) -> Iterator[RowBundle]:
    """For each range of parts, the rows of one side, in the order of the runs.

    They are made one by one: a thousand ranges of a thousand runs are a million pieces.
    """
    bounds = np.array([0, *(stop for _, stop in ranges)])
    ends = [np.concatenate([[0], np.cumsum(result.value, dtype=np.int64)])[bounds] for result in side]
    blocks = [RowBundle.of(result.outputs) for result in side]
    for index in range(len(ranges)):
        pieces: list[RowBundle] = []
        for block, end in zip(blocks, ends, strict=True):
            if end[index] < end[index + 1] or not pieces:  # an empty one tells the columns
                pieces.append(block.part(int(end[index]), int(end[index + 1])))
        yield RowBundle.of(pieces)
