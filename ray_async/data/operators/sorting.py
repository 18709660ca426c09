"""Sorting: of one call while the rows fit into one; else sorted runs, cut at keys that samples show, and merged."""

from __future__ import annotations

import itertools
from collections.abc import Generator, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ray_async.data.block.bundle import RowBundle
from ray_async.data.block.gathering import rows_of_size
from ray_async.data.block.schema import concatenated
from ray_async.data.engine.cutting import Cut, SortKeys, cut_rows, cuts_of, with_places
from ray_async.data.engine.grouping import group_bounds
from ray_async.data.engine.ordering import order_of, sorted_table
from ray_async.data.executor.instructions import BarrierStep, StageCall, StageResult, Steps
from ray_async.data.operators.exchange import Exchange, SplitRows, kept_in, parts_of
from ray_async.data.operators.map_operator import InFile, Value, blocks_of_size
from ray_async.data.plan.columns import check_columns

__all__ = ("BoundedSortStrategy", "GroupSortStrategy", "MergeSorted", "SortKeys", "SortRun", "SortStrategy")

#: Rows that samples show of each part that the cuts make.
SAMPLE_ROWS = 128


@dataclass(frozen=True)
class SortRun:
    """Rows in order, in one block, and samples of their keys.

    Attributes:
        keys: the keys.
        part_bytes: size of the parts that will be cut.
        folder: where the block is written; None for the store.
    """

    keys: SortKeys
    part_bytes: int
    folder: str | None = None

    def __call__(self, inputs: Sequence[Sequence[pa.Table]]) -> Iterator[pa.Table | InFile | Value]:
        table = concatenated([table for bundle in inputs for table in bundle])
        check_columns(self.keys.names, table.column_names)
        order = order_of(table, self.keys.names, self.keys.descending)
        each = max(1, rows_of_size(table, self.part_bytes) // SAMPLE_ROWS)
        keys = table.select(list(self.keys.names))
        yield kept_in(self.folder, table, order)
        del table
        yield Value(with_places(keys.take(order) if keys.num_columns else keys, each))


@dataclass(frozen=True)
class CutRun:
    """Where the cuts are in a sorted run.

    Attributes:
        keys: the keys.
        cuts: rows that begin parts.
        run: number of the run.
        whole_groups: whether rows with equal keys stay together.
    """

    keys: SortKeys
    cuts: tuple[Cut, ...]
    run: int
    whole_groups: bool

    def __call__(self, inputs: Sequence[Sequence[pa.Table]]) -> Iterator[pa.Table | InFile | Value]:
        table = concatenated(inputs[0]).select(list(self.keys.names))
        yield Value(cut_rows(table, self.keys, self.cuts, self.run, self.whole_groups))


@dataclass(frozen=True)
class MergeSorted:
    """The rows of all bundles in order; with ``bounds``, also where groups begin."""

    keys: SortKeys
    block_bytes: int
    bounds: int = 0

    def __call__(self, inputs: Sequence[Sequence[pa.Table]]) -> Iterator[pa.Table | Value]:
        table = concatenated([table for bundle in inputs for table in bundle])
        if table.num_columns:
            check_columns(self.keys.names, table.column_names)
            table = sorted_table(table, self.keys.names, self.keys.descending)
        if not self.bounds:
            yield from blocks_of_size([table], self.block_bytes)
            return
        yield table
        if table.num_columns:
            yield Value(
                _thinned([start for start, _ in group_bounds(table, self.keys.names)], table.num_rows, self.bounds)
            )


def _thinned(starts: Sequence[int], rows: int, most: int) -> list[int]:
    """At most so many starts of groups, which cut the rows about evenly; always the first."""
    wanted = np.linspace(0, rows, most, endpoint=False)
    array = np.array(starts, dtype=np.int64)
    return (
        sorted({int(array[index]) for index in np.searchsorted(array, wanted).clip(max=len(array) - 1)} | {0})
        if len(array)
        else []
    )


@dataclass(frozen=True)
class SortStrategy(Exchange):
    """Rows in order of keys.

    Attributes:
        keys: the keys.
        block_bytes: size of a block of the result.
        call_bytes: size up to which one call sorts everything.
    """

    keys: SortKeys
    block_bytes: int
    call_bytes: int

    def whole(self, inputs: Sequence[Sequence[RowBundle]]) -> Steps:
        yield BarrierStep((StageCall(MergeSorted(self.keys, self.block_bytes), tuple(inputs[0])),), last=True)
        return ()

    def split(self, side: int, first_row: int, folder: str | None) -> SortRun:
        return SortRun(self.keys, min(self.block_bytes, self.call_bytes), folder)

    def merge(self, runs: Sequence[Sequence[StageResult]], folder: str | None) -> Steps:
        _, parts = yield from _ranges(self.keys, runs[0], min(self.block_bytes, self.call_bytes), whole_groups=False)
        merge = MergeSorted(self.keys, self.block_bytes)
        yield BarrierStep((StageCall(merge, (part,)) for part in parts), last=True)
        return ()

    def merge_or_whole(self, results: Sequence[StageResult], folder: str | None) -> Steps:
        """Plan what remains to be done with sorted runs, however small they are together."""
        bundles = [output for result in results for output in result.outputs]
        if sum(bundle.bytes for bundle in bundles) > self.call_bytes:
            return (yield from self.merge([results], folder))
        return (yield from self.whole([bundles]))


def _ranges(
    keys: SortKeys, runs: Sequence[StageResult], part_bytes: int, *, whole_groups: bool
) -> Generator[BarrierStep, Sequence[StageResult], tuple[int, Iterator[RowBundle]]]:
    """How many ranges of keys have about so many bytes, and the rows of each in the order of the sorted runs."""
    blocks = [RowBundle.of(run.outputs) for run in runs]
    count = -(-sum(block.bytes for block in blocks) // part_bytes)
    cuts = cuts_of(keys, [run.value for run in runs], count)
    calls = [(number, block) for number, block in enumerate(blocks) if block.rows]
    found = yield BarrierStep(StageCall(CutRun(keys, cuts, number, whole_groups), (block,)) for number, block in calls)
    blocks = [block for _, block in calls]
    bounds = [np.array([0, *result.value, block.rows]) for block, result in zip(blocks, found, strict=True)]
    return len(cuts) + 1, _pieces(blocks, bounds)


def _pieces(blocks: Sequence[RowBundle], bounds: Sequence[np.ndarray[Any, Any]]) -> Iterator[RowBundle]:
    """What lies between two bounds of each of the blocks, where there is anything, from the first bound to the last."""
    for index in range(len(bounds[0]) - 1 if bounds else 0):
        pieces = [
            block.part(int(bound[index]), int(bound[index + 1]))
            for block, bound in zip(blocks, bounds, strict=True)
            if bound[index] < bound[index + 1]
        ]
        if pieces:
            yield RowBundle.of(pieces)


@dataclass(frozen=True)
class BoundaryParts:
    """The part of each row by where the first key lies among the boundaries; null and NaN are in the last part.

    Attributes:
        keys: the keys.
        boundaries: values of the first key in ascending order, of which each begins a part.
    """

    keys: SortKeys
    boundaries: tuple[Any, ...]

    def __call__(self, table: pa.Table) -> tuple[pa.Table, np.ndarray[Any, np.dtype[Any]], int]:
        check_columns(self.keys.names, table.column_names)
        last = len(self.boundaries)
        column = table.column(self.keys.names[0])
        parts = np.zeros(table.num_rows, dtype=np.int64)
        for value in self.boundaries:
            bound = pa.scalar(value)
            beyond = pc.less(column, bound) if self.keys.descending[0] else pc.greater_equal(column, bound)
            parts += pc.fill_null(beyond, False).to_numpy(zero_copy_only=False)
        nowhere = pc.fill_null(pc.is_nan(column), True) if pa.types.is_floating(column.type) else pc.is_null(column)
        parts[nowhere.to_numpy(zero_copy_only=False)] = last
        return table, parts, last + 1


@dataclass(frozen=True)
class BoundedSortStrategy(Exchange):
    """Rows in order of keys, in blocks that begin at given values of the first key."""

    keys: SortKeys
    boundaries: tuple[Any, ...]
    call_bytes: int = -1

    def split(self, side: int, first_row: int, folder: str | None) -> SplitRows:
        return SplitRows(BoundaryParts(self.keys, self.boundaries), folder)

    def merge(self, runs: Sequence[Sequence[StageResult]], folder: str | None) -> Steps:
        ranges = [(part, part + 1) for part in range(len(self.boundaries) + 1)]
        merge = MergeSorted(self.keys, 1 << 62)
        yield BarrierStep((StageCall(merge, (part,)) for part in parts_of(runs[0], ranges)), last=True)
        return ()


@dataclass(frozen=True)
class GroupSortStrategy(Exchange):
    """Rows sorted by keys, in bundles that hold whole groups.

    Attributes:
        keys: the keys.
        block_bytes: size of a bundle, about, where its groups are smaller.
        call_bytes: size up to which one call sorts everything.
        bundles: bundles to make at least, where there are that many groups.
    """

    keys: SortKeys
    block_bytes: int
    call_bytes: int
    bundles: int

    def whole(self, inputs: Sequence[Sequence[RowBundle]]) -> Steps:
        return (yield from self._merged(1, [RowBundle.of(inputs[0])]))

    def split(self, side: int, first_row: int, folder: str | None) -> SortRun:
        return SortRun(self.keys, min(self.block_bytes, self.call_bytes), folder)

    def merge(self, runs: Sequence[Sequence[StageResult]], folder: str | None) -> Steps:
        size = min(self.block_bytes, self.call_bytes)
        count, parts = yield from _ranges(self.keys, runs[0], size, whole_groups=True)
        return (yield from self._merged(count, parts))

    def _merged(self, count: int, parts: Iterable[RowBundle]) -> Steps:
        merge = MergeSorted(self.keys, self.block_bytes, bounds=max(1, self.bundles // count))
        calls = (StageCall(merge, (part,)) for part in parts)
        if merge.bounds == 1:  # each part is a bundle of whole groups
            yield BarrierStep(calls, last=True)
            return ()
        results = yield BarrierStep(calls)
        found: list[RowBundle] = []
        for result in results:
            for output in result.outputs:
                starts = [*(result.value or [0]), output.rows]
                sizes = [stop - start for start, stop in itertools.pairwise(starts)]
                found += output.cut(sizes)
        return found
