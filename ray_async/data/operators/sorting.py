"""Sorting: of one call while the rows fit into one, else by ranges of keys that samples show."""

from __future__ import annotations

import itertools
from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ray_async.data.block.bundle import RowBundle
from ray_async.data.block.schema import concatenated
from ray_async.data.engine.grouping import group_bounds
from ray_async.data.engine.ordering import order_of, sorted_table
from ray_async.data.executor.instructions import BarrierStep, StageCall, StageResult, Steps
from ray_async.data.operators.map_operator import Value, blocks_of_size
from ray_async.data.plan.columns import check_columns

__all__ = ("BoundedSortStrategy", "GroupSortStrategy", "MergeSorted", "SampleKeys", "SortStrategy", "SplitByKeys")

#: Rows that samples show of each part that the cuts make.
SAMPLE_ROWS = 256
_TIE = "\0tie"


@dataclass(frozen=True)
class SortKeys:
    """Columns to sort by, each with its direction."""

    names: tuple[str, ...]
    descending: tuple[bool, ...]


@dataclass(frozen=True)
class SampleKeys:
    """The keys of so many rows of a bundle, evenly spread, each with its row's number in the whole."""

    keys: SortKeys
    first_row: int
    rows: int = SAMPLE_ROWS

    def __call__(self, inputs: Sequence[Sequence[pa.Table]]) -> Iterator[pa.Table | Value]:
        table = _keyed(inputs[0], self.keys, self.first_row)
        rows = np.unique(np.linspace(0, max(0, table.num_rows - 1), min(table.num_rows, self.rows)).astype(np.int64))
        yield Value(table.take(pa.array(rows)))


def _keyed(tables: Sequence[pa.Table], keys: SortKeys, first_row: int) -> pa.Table:
    """The keys and, to tell equal rows apart, the rows' numbers."""
    table = concatenated(tables)
    check_columns(keys.names, table.column_names)
    numbers = pa.array(np.arange(first_row, first_row + table.num_rows, dtype=np.int64))
    return table.select(list(keys.names)).append_column(_TIE, numbers)


@dataclass(frozen=True)
class SplitByKeys:
    """A bundle's rows in parts, by where they lie among the cuts: rows of keys."""

    keys: SortKeys
    cuts: pa.Table
    first_row: int
    whole_groups: bool = False

    def __call__(self, inputs: Sequence[Sequence[pa.Table]]) -> Iterator[pa.Table | Value]:
        table = concatenated(inputs[0])
        keyed = _keyed([table], self.keys, self.first_row)
        names = list(self.keys.names) if self.whole_groups else [*self.keys.names, _TIE]
        both = concatenated([self.cuts.select(names), keyed.select(names)])
        descending = list(self.keys.descending) + [False] * (len(names) - len(self.keys.names))
        order = order_of(both, names, descending).to_numpy()
        cuts = self.cuts.num_rows
        places = np.cumsum(order < cuts)  # cuts come first among equals, since the sort is stable
        part = np.empty(len(order), dtype=np.int64)
        part[order] = places
        parts = part[cuts:]
        rows = np.argsort(parts, kind="stable")
        sizes = np.bincount(parts, minlength=cuts + 1)
        start = 0
        moved = table.take(pa.array(rows))
        for size in sizes.tolist():
            yield moved.slice(start, size)
            start += size


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
class SortStrategy:
    """Rows in order of keys.

    Attributes:
        keys: the keys.
        block_bytes: size of a block of the result.
        call_bytes: size up to which one call sorts everything.
    """

    keys: SortKeys
    block_bytes: int
    call_bytes: int

    def steps(self, inputs: Sequence[Sequence[RowBundle]]) -> Steps:
        bundles = list(inputs[0])
        size = sum(bundle.bytes for bundle in bundles)
        if size <= self.call_bytes:
            yield BarrierStep((StageCall(MergeSorted(self.keys, self.block_bytes), tuple(bundles)),), last=True)
            return ()
        parts = yield from _ranges(self.keys, bundles, -(-size // min(self.block_bytes, self.call_bytes)), False)
        merge = MergeSorted(self.keys, self.block_bytes)
        yield BarrierStep(tuple(StageCall(merge, tuple(part)) for part in parts), last=True)
        return ()


def _ranges(
    keys: SortKeys, bundles: Sequence[RowBundle], count: int, whole_groups: bool
) -> Generator[BarrierStep, Sequence[StageResult], list[list[RowBundle]]]:
    """The rows in so many ranges of keys: for each range, its bundles in the order of the rows."""
    starts = np.concatenate([[0], np.cumsum([bundle.rows for bundle in bundles])]).tolist()
    total = max(1, starts[-1])
    samples = yield BarrierStep(
        tuple(
            StageCall(SampleKeys(keys, start, -(-SAMPLE_ROWS * count * bundle.rows // total)), (bundle,))
            for start, bundle in zip(starts, bundles, strict=False)
        )
    )
    cuts = _cuts(keys, [result.value for result in samples], count)
    splits = yield BarrierStep(
        tuple(
            StageCall(SplitByKeys(keys, cuts, start, whole_groups), (bundle,))
            for start, bundle in zip(starts, bundles, strict=False)
        )
    )
    return [[split.outputs[index] for split in splits] for index in range(cuts.num_rows + 1)]


def _cuts(keys: SortKeys, samples: Sequence[pa.Table], count: int) -> pa.Table:
    """Rows of keys that cut all rows into parts of about the same size."""
    weighted = sorted_table(concatenated(samples), [*keys.names, _TIE], [*keys.descending, False])
    rows = [weighted.num_rows * index // count for index in range(1, count)]
    return weighted.take(pa.array(sorted(set(rows)), type=pa.int64()))


@dataclass(frozen=True)
class SplitAtBoundaries:
    """A bundle's rows in parts by where the first key lies among the boundaries; null and NaN are in the last part.

    Attributes:
        keys: the keys.
        boundaries: values of the first key in ascending order, of which each begins a part.
    """

    keys: SortKeys
    boundaries: tuple[Any, ...]

    def __call__(self, inputs: Sequence[Sequence[pa.Table]]) -> Iterator[pa.Table | Value]:
        table = concatenated(inputs[0])
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
        moved = table.take(pa.array(np.argsort(parts, kind="stable")))
        start = 0
        for size in np.bincount(parts, minlength=last + 1).tolist():
            yield moved.slice(start, size)
            start += size


@dataclass(frozen=True)
class BoundedSortStrategy:
    """Rows in order of keys, in blocks that begin at given values of the first key."""

    keys: SortKeys
    boundaries: tuple[Any, ...]

    def steps(self, inputs: Sequence[Sequence[RowBundle]]) -> Steps:
        split = SplitAtBoundaries(self.keys, self.boundaries)
        splits = yield BarrierStep(tuple(StageCall(split, (bundle,)) for bundle in inputs[0]))
        merge = MergeSorted(self.keys, 1 << 62)
        parts = range(len(self.boundaries) + 1)
        yield BarrierStep(
            tuple(StageCall(merge, tuple(split.outputs[part] for split in splits)) for part in parts), last=True
        )
        return ()


@dataclass(frozen=True)
class GroupSortStrategy:
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

    def steps(self, inputs: Sequence[Sequence[RowBundle]]) -> Steps:
        bundles = list(inputs[0])
        size = sum(bundle.bytes for bundle in bundles)
        if size <= self.call_bytes:
            parts = [bundles]
        else:
            parts = yield from _ranges(self.keys, bundles, -(-size // min(self.block_bytes, self.call_bytes)), True)
        merge = MergeSorted(self.keys, self.block_bytes, bounds=max(1, self.bundles // len(parts)))
        results = yield BarrierStep(tuple(StageCall(merge, tuple(part)) for part in parts))
        found: list[RowBundle] = []
        for result in results:
            for output in result.outputs:
                starts = [*(result.value or [0]), output.rows]
                sizes = [stop - start for start, stop in itertools.pairwise(starts)]
                found += output.cut(sizes)
        return found
