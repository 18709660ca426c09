"""Joining: by one call while both sides fit into one, else by the hash of the keys."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import pyarrow as pa

from ray_async.data.block.bundle import RowBundle
from ray_async.data.block.schema import concatenated
from ray_async.data.engine.joining import joined_slices
from ray_async.data.executor.instructions import BarrierStep, StageCall, StageResult, Steps
from ray_async.data.operators.exchange import FINE_PARTS, Exchange, SplitRows, parts_of, parts_of_size
from ray_async.data.operators.grouping import HashedParts
from ray_async.data.operators.map_operator import Value
from ray_async.data.operators.shuffling import even_sizes
from ray_async.data.plan.columns import check_columns

__all__ = ("JoinRows", "JoinStrategy")


@dataclass(frozen=True)
class JoinRows:
    """The join of the first bundles, so many, with the others.

    Attributes:
        left_on: keys.
        right_on: keys of the others.
        how: the kind of join.
        left_suffix: for names that both have.
        right_suffix: the same.
        left_bundles: how many bundles are the left side's.
        schemas: of the sides, for one without a block.
        block_bytes: size of a block of the result.
    """

    left_on: tuple[str, ...]
    right_on: tuple[str, ...]
    how: str
    left_suffix: str | None
    right_suffix: str | None
    left_bundles: int = 0
    schemas: tuple[pa.Schema | None, pa.Schema | None] = (None, None)
    block_bytes: int = 1 << 62

    def __call__(self, inputs: Sequence[Sequence[pa.Table]]) -> Iterator[pa.Table | Value]:
        left = self._side(inputs[: self.left_bundles], self.schemas[0], self.left_on)
        right = self._side(inputs[self.left_bundles :], self.schemas[1], self.right_on)
        suffixes = self.left_suffix, self.right_suffix
        yield from joined_slices(left, right, self.left_on, self.right_on, self.how, *suffixes, self.block_bytes)

    def _side(self, bundles: Sequence[Sequence[pa.Table]], known: pa.Schema | None, on: tuple[str, ...]) -> pa.Table:
        table = concatenated([table for bundle in bundles for table in bundle])
        if not table.num_columns:  # nobody knows the columns of a side that never had a row
            table = known.empty_table() if known is not None else pa.table({name: pa.nulls(0) for name in on})
        check_columns(on, table.column_names)
        return table


@dataclass(frozen=True)
class JoinStrategy(Exchange):
    """Rows of two sides whose keys are equal.

    Attributes:
        join: what one call does.
        call_bytes: size up to which one call joins everything.
        part_bytes: size of what a call joins where there is more.
    """

    join: JoinRows
    call_bytes: int
    part_bytes: int

    def whole(self, inputs: Sequence[Sequence[RowBundle]]) -> Steps:
        call = replace(self.join, left_bundles=len(inputs[0]))
        yield BarrierStep((StageCall(call, (*inputs[0], *inputs[1])),), last=True)
        return ()

    def split(self, side: int, first_row: int, folder: str | None) -> SplitRows:
        keys = self.join.right_on if side else self.join.left_on
        return SplitRows(HashedParts(keys, FINE_PARTS), folder)

    def merge(self, runs: Sequence[Sequence[StageResult]], folder: str | None) -> Steps:
        ranges = parts_of_size(runs, self.part_bytes)
        call = replace(self.join, left_bundles=1)
        pairs = zip(*(parts_of(side, ranges) for side in runs), strict=True)
        yield BarrierStep((StageCall(call, pair) for part in pairs for pair in self._cut(*part)), last=True)
        return ()

    def _cut(self, left: RowBundle, right: RowBundle) -> Iterator[tuple[RowBundle, RowBundle]]:
        """Rows of a part for several calls, where it has a key of so many rows that it is too large for one.

        Rows of the one side may be cut if it does not matter to them what other rows of theirs find.
        """
        cuts_left = not self.join.how.startswith(("right", "full"))
        cuts_right = self.join.how in ("inner", "right_outer", "right_semi", "right_anti")
        for one in self._pieces(left) if cuts_left else [left]:
            for other in self._pieces(right) if cuts_right else [right]:
                yield one, other

    def _pieces(self, side: RowBundle) -> list[RowBundle]:
        count = min(side.rows, -(-side.bytes // self.part_bytes))
        return side.cut(even_sizes(side.rows, count)) if count > 1 else [side]
