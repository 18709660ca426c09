"""Grouping: aggregation, by one call while the rows fit into one, else by hashes of the keys; functions of groups."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from ray_async.data.aggregate.functions import Aggregation
from ray_async.data.aggregate.partial import Partial, partials_of
from ray_async.data.block.bundle import RowBundle, schema_of
from ray_async.data.block.schema import concatenated
from ray_async.data.engine.grouping import aggregated, group_bounds
from ray_async.data.engine.keys import key_hashes
from ray_async.data.executor.instructions import BarrierStep, RunPlan, StageCall, StageResult, Steps
from ray_async.data.operators.exchange import FINE_PARTS, Exchange, SplitRows, parts_of, parts_of_size
from ray_async.data.operators.function import UserFunction
from ray_async.data.operators.map_operator import InFile, Value
from ray_async.data.operators.sorting import SortKeys, SortRun, SortStrategy
from ray_async.data.operators.steps import BatchMap
from ray_async.data.plan.columns import check_columns

__all__ = ("AggregateStrategy", "GroupMap", "HashedParts")

#: Rows that are hashed at a time: hashing takes many times the memory of a small key.
HASHED_ROWS = 1 << 16


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
class HashedParts:
    """The part of each row by the hash of its keys: equal keys are in the same part, whatever their types.

    Attributes:
        keys: the keys.
        parts: how many parts.
    """

    keys: tuple[str, ...]
    parts: int

    def __call__(self, table: pa.Table) -> tuple[pa.Table, np.ndarray[Any, np.dtype[Any]], int]:
        check_columns(self.keys, table.column_names)
        part = np.zeros(table.num_rows, dtype=np.min_scalar_type(self.parts))
        for start in range(0, table.num_rows if self.keys else 0, HASHED_ROWS):
            rows = table.slice(start, HASHED_ROWS)
            part[start : start + HASHED_ROWS] = key_hashes(rows, self.keys) % np.uint64(self.parts)
        return table, part, self.parts


@dataclass(frozen=True)
class AggregateStrategy:
    """One row for each group, in order of the keys, or of first appearance.

    Attributes:
        keys: columns whose values make groups; none: all rows are one group.
        aggregations: what is computed.
        first_seen: whether groups come in order of first appearance.
        call_bytes: size up to which one call aggregates everything.
        part_bytes: size of what a call aggregates where there is more.
    """

    keys: tuple[str, ...]
    aggregations: tuple[Aggregation, ...]
    first_seen: bool
    call_bytes: int
    part_bytes: int

    def steps(self, inputs: Sequence[Sequence[RowBundle]]) -> Steps:
        bundles = list(inputs[0])
        if self.first_seen or sum(bundle.bytes for bundle in bundles) <= self.call_bytes:
            whole = AggregateRows(self.keys, self.aggregations, self.first_seen)
            yield BarrierStep((StageCall(whole, tuple(bundles)),), last=True)
            return ()
        return (yield from self._exchange(bundles).steps([bundles]))

    def runs(self, inputs: Sequence[Sequence[RowBundle]]) -> RunPlan:
        return self._exchange(inputs[0])

    def _exchange(self, bundles: Sequence[RowBundle]) -> Exchange:
        partials = partials_of(self.aggregations, schema_of(bundles))
        if partials is not None:
            return PartialGroups(self.keys, self.aggregations, tuple(partials), self.call_bytes, self.part_bytes)
        last = AggregateRows(self.keys, self.aggregations, False)
        return HashedGroups(self.keys, last, self.call_bytes, self.part_bytes)


@dataclass(frozen=True)
class HashedGroups(Exchange):
    """All rows of a group in one call, which aggregates them.

    Attributes:
        keys: the keys.
        last: what that call does.
        call_bytes: size up to which one call does everything.
        part_bytes: size of what a call does where there is more.
    """

    keys: tuple[str, ...]
    last: AggregateRows | MergeGroups
    call_bytes: int
    part_bytes: int

    def whole(self, inputs: Sequence[Sequence[RowBundle]]) -> Steps:
        yield BarrierStep((StageCall(self.last, tuple(inputs[0])),), last=True)
        return ()

    def split(self, side: int, first_row: int, folder: str | None) -> SplitRows:
        return SplitRows(HashedParts(self.keys, FINE_PARTS if self.keys else 1), folder)

    def merge(self, runs: Sequence[Sequence[StageResult]], folder: str | None) -> Steps:
        parts = parts_of(runs[0], parts_of_size(runs, self.part_bytes))
        sort = SortStrategy(SortKeys(self.keys, (False,) * len(self.keys)), self.part_bytes, self.call_bytes)
        call = GroupsInOrder(self.last, sort.split(0, 0, folder))
        results = yield BarrierStep(StageCall(call, (part,)) for part in parts)
        return (yield from sort.merge_or_whole([result for result in results if result.outputs], folder))


@dataclass(frozen=True)
class PartialGroups(Exchange):
    """Groups of each bundle, of which those of all rows are made. Nothing of the rows is kept beside.

    Attributes:
        keys: the keys.
        aggregations: what is computed.
        partials: in which steps.
        call_bytes: size up to which one call does everything.
        part_bytes: size of what a call does where there is more.
    """

    keys: tuple[str, ...]
    aggregations: tuple[Aggregation, ...]
    partials: tuple[Partial, ...]
    call_bytes: int
    part_bytes: int

    def whole(self, inputs: Sequence[Sequence[RowBundle]]) -> Steps:
        whole = AggregateRows(self.keys, self.aggregations, False)
        yield BarrierStep((StageCall(whole, tuple(inputs[0])),), last=True)
        return ()

    def split(self, side: int, first_row: int, folder: str | None) -> AggregateRows | SplitGroups:
        partials = AggregateRows(self.keys, tuple(part for partial in self.partials for part in partial.parts), False)
        return partials if folder is None else SplitGroups(partials, self._hashed().split(side, first_row, folder))

    def merge(self, runs: Sequence[Sequence[StageResult]], folder: str | None) -> Steps:
        results = [result for result in runs[0] if result.outputs]
        bundles = [output for result in results for output in result.outputs]
        if folder is not None and sum(bundle.bytes for bundle in bundles) > self.call_bytes:
            return (yield from self._hashed().merge([results], folder))
        del results, runs
        return (yield from self._hashed().steps([bundles]))

    def _hashed(self) -> HashedGroups:
        """How the groups of all bundles are put together."""
        last = MergeGroups(self.keys, self.aggregations, self.partials)
        return HashedGroups(self.keys, last, self.call_bytes, self.part_bytes)


@dataclass(frozen=True)
class SplitGroups:
    """The groups of a bundle, by the hashes of their keys.

    Attributes:
        groups: makes them.
        split: splits them.
    """

    groups: AggregateRows
    split: SplitRows

    def __call__(self, inputs: Sequence[Sequence[pa.Table]]) -> Iterator[pa.Table | InFile | Value]:
        found = list(self.groups(inputs))
        if found:
            yield from self.split([[table for table in found if isinstance(table, pa.Table)]])


@dataclass(frozen=True)
class GroupsInOrder:
    """The groups of a part as a run of a sort by their keys.

    Attributes:
        groups: makes them.
        sort: sorts them.
    """

    groups: AggregateRows | MergeGroups
    sort: SortRun

    def __call__(self, inputs: Sequence[Sequence[pa.Table]]) -> Iterator[pa.Table | InFile | Value]:
        found = list(self.groups(inputs))
        if found:
            yield from self.sort([[table for table in found if isinstance(table, pa.Table)]])


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
