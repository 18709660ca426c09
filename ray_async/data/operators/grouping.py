"""Grouping: aggregation, by one call while the rows fit into one, else by hashes of the keys; functions of groups."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from ray_async.data.aggregate.functions import Aggregation
from ray_async.data.aggregate.partial import Partial, partials_of
from ray_async.data.block.bundle import RowBundle, schema_of
from ray_async.data.block.columns import python_of
from ray_async.data.block.schema import concatenated, conformed
from ray_async.data.engine.grouping import aggregated, group_bounds, group_numbers
from ray_async.data.engine.keys import steady
from ray_async.data.engine.ordering import sorted_table
from ray_async.data.executor.instructions import BarrierStep, StageCall, Steps
from ray_async.data.operators.function import UserFunction
from ray_async.data.operators.map_operator import Value
from ray_async.data.operators.steps import BatchMap
from ray_async.data.plan.columns import check_columns

__all__ = ("AggregateStrategy", "GroupMap")


@dataclass(frozen=True)
class AggregateRows:
    """The groups of all rows of the bundles."""

    keys: tuple[str, ...]
    aggregations: tuple[Aggregation, ...]
    first_seen: bool

    def __call__(self, inputs: Sequence[Sequence[pa.Table]]) -> Iterator[pa.Table | Value]:
        table = concatenated([table for bundle in inputs for table in bundle])
        if not table.num_columns and not table.num_rows and (self.keys or any(a.on for a in self.aggregations)):
            return
        check_columns(self.keys, table.column_names)
        check_columns([a.on for a in self.aggregations if a.on is not None], table.column_names)
        yield aggregated(table, self.keys, self.aggregations, first_seen=self.first_seen)


@dataclass(frozen=True)
class SplitByHash:
    """A bundle's rows in parts, equal keys in the same part.

    Attributes:
        keys: the keys.
        parts: how many parts.
        types: types that the keys are brought to before, if others are to be met that have them; None for their own.
    """

    keys: tuple[str, ...]
    parts: int
    types: tuple[pa.DataType, ...] | None = None

    def __call__(self, inputs: Sequence[Sequence[pa.Table]]) -> Iterator[pa.Table | Value]:
        table = concatenated(inputs[0])
        check_columns(self.keys, table.column_names)
        numbers = group_numbers(table, self.keys).to_numpy()
        count = int(numbers.max()) + 1 if len(numbers) else 0
        first = np.zeros(count, dtype=np.int64)
        first[numbers[::-1]] = np.arange(len(numbers) - 1, -1, -1)
        part = self._parts_of(table.select(list(self.keys)).take(pa.array(first)))[numbers]
        order = np.argsort(part, kind="stable")
        moved = table.take(pa.array(order))
        start = 0
        for size in np.bincount(part, minlength=self.parts).tolist():
            yield moved.slice(start, size)
            start += size

    def _parts_of(self, heads: pa.Table) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
        """The part of each group: by a hash that is the same in every process."""
        import zlib

        if self.types is not None:
            heads = conformed(heads, pa.schema(list(zip(heads.column_names, self.types, strict=True))))
        columns = [python_of(column) for column in heads.columns]
        found = [
            zlib.crc32(repr([steady(value) for value in row]).encode()) % self.parts
            for row in zip(*columns, strict=True)
        ]
        return np.array(found, dtype=np.int64)


@dataclass(frozen=True)
class ConcatGroups:
    """The groups of all parts in the order of the keys."""

    keys: tuple[str, ...]

    def __call__(self, inputs: Sequence[Sequence[pa.Table]]) -> Iterator[pa.Table | Value]:
        table = concatenated([table for bundle in inputs for table in bundle])
        yield sorted_table(table, self.keys, [False] * len(self.keys)) if table.num_columns else table


@dataclass(frozen=True)
class AggregateStrategy:
    """One row for each group, in order of the keys, or of first appearance.

    Attributes:
        keys: columns whose values make groups; none: all rows are one group.
        aggregations: what is computed.
        first_seen: whether groups come in order of first appearance.
        call_bytes: size up to which one call aggregates everything.
    """

    keys: tuple[str, ...]
    aggregations: tuple[Aggregation, ...]
    first_seen: bool
    call_bytes: int

    def steps(self, inputs: Sequence[Sequence[RowBundle]]) -> Steps:
        bundles = list(inputs[0])
        size = sum(bundle.bytes for bundle in bundles)
        whole = AggregateRows(self.keys, self.aggregations, self.first_seen)
        if size <= self.call_bytes or self.first_seen:
            yield BarrierStep((StageCall(whole, tuple(bundles)),), last=True)
            return ()
        partials = partials_of(self.aggregations, schema_of(bundles))
        if partials is not None:
            parts = tuple(part for partial in partials for part in partial.parts)
            each = AggregateRows(self.keys, parts, False)
            results = yield BarrierStep(tuple(StageCall(each, (bundle,)) for bundle in bundles))
            bundles = [output for result in results for output in result.outputs]
            size = sum(bundle.bytes for bundle in bundles)
        last = whole if partials is None else MergeGroups(self.keys, self.aggregations, tuple(partials))
        if size <= self.call_bytes or not self.keys:
            yield BarrierStep((StageCall(last, tuple(bundles)),), last=True)
            return ()
        yield from self._by_hash(last, bundles, -(-size // self.call_bytes) * 2)
        return ()

    def _by_hash(self, last: AggregateRows | MergeGroups, bundles: Sequence[RowBundle], parts: int) -> Steps:
        splits = yield BarrierStep(tuple(StageCall(SplitByHash(self.keys, parts), (bundle,)) for bundle in bundles))
        groups = yield BarrierStep(
            tuple(StageCall(last, tuple(split.outputs[index] for split in splits)) for index in range(parts))
        )
        outputs = tuple(output for result in groups for output in result.outputs)
        yield BarrierStep((StageCall(ConcatGroups(self.keys), outputs),), last=True)
        return ()


@dataclass(frozen=True)
class MergeGroups:
    """The groups of all rows, of the groups of each bundle.

    Attributes:
        keys: the keys.
        aggregations: what is computed.
        partials: in which steps.
    """

    keys: tuple[str, ...]
    aggregations: tuple[Aggregation, ...]
    partials: tuple[Partial, ...]

    def __call__(self, inputs: Sequence[Sequence[pa.Table]]) -> Iterator[pa.Table | Value]:
        table = concatenated([table for bundle in inputs for table in bundle])
        merges = [merge for partial in self.partials for merge in partial.merges]
        merged = aggregated(table, self.keys, merges)
        columns = [*(merged.column(key) for key in self.keys), *(partial.finish(merged) for partial in self.partials)]
        names = [*self.keys, *(aggregation.name for aggregation in self.aggregations)]
        yield pa.Table.from_arrays(columns, names=names)


@dataclass
class GroupMap:
    """A step that calls a function with each group; its bundles hold whole groups, sorted."""

    function: UserFunction
    keys: tuple[str, ...]
    batch_format: str | None
    writable: bool

    def run(self, tables: Iterable[pa.Table]) -> Iterator[pa.Table]:
        table = concatenated(list(tables))
        if not table.num_rows:
            return
        groups = (table.slice(start, stop - start) for start, stop in group_bounds(table, self.keys))
        yield from BatchMap(self.function, None, self.batch_format, self.writable).results(groups)
