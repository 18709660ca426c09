"""Joining: by one call while both sides fit into one, else by the hash of the keys."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import pyarrow as pa

from ray_async.data.block.bundle import RowBundle, schema_of
from ray_async.data.block.schema import concatenated
from ray_async.data.engine.joining import joined, key_schema
from ray_async.data.executor.instructions import BarrierStep, StageCall, Steps
from ray_async.data.operators.grouping import SplitByHash
from ray_async.data.operators.map_operator import Value
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
    """

    left_on: tuple[str, ...]
    right_on: tuple[str, ...]
    how: str
    left_suffix: str | None
    right_suffix: str | None
    left_bundles: int = 0
    schemas: tuple[pa.Schema | None, pa.Schema | None] = (None, None)

    def __call__(self, inputs: Sequence[Sequence[pa.Table]]) -> Iterator[pa.Table | Value]:
        left = self._side(inputs[: self.left_bundles], self.schemas[0], self.left_on)
        right = self._side(inputs[self.left_bundles :], self.schemas[1], self.right_on)
        yield joined(left, right, self.left_on, self.right_on, self.how, self.left_suffix, self.right_suffix)

    def _side(self, bundles: Sequence[Sequence[pa.Table]], known: pa.Schema | None, on: tuple[str, ...]) -> pa.Table:
        table = concatenated([table for bundle in bundles for table in bundle])
        if not table.num_columns:  # nobody knows the columns of a side that never had a row
            table = known.empty_table() if known is not None else pa.table({name: pa.nulls(0) for name in on})
        check_columns(on, table.column_names)
        return table


@dataclass(frozen=True)
class JoinStrategy:
    """Rows of two sides whose keys are equal.

    Attributes:
        join: what one call does.
        call_bytes: size up to which one call joins everything.
    """

    join: JoinRows
    call_bytes: int

    def steps(self, inputs: Sequence[Sequence[RowBundle]]) -> Steps:
        left, right = (list(bundles) for bundles in inputs)
        size = sum(bundle.bytes for bundle in left + right)
        if size <= self.call_bytes:
            call = replace(self.join, left_bundles=len(left))
            yield BarrierStep((StageCall(call, (*left, *right)),), last=True)
            return ()
        parts = -(-size // self.call_bytes) * 2
        types = self._key_types(left, right)
        splits = yield BarrierStep(
            tuple(StageCall(SplitByHash(self.join.left_on, parts, types), (bundle,)) for bundle in left)
            + tuple(StageCall(SplitByHash(self.join.right_on, parts, types), (bundle,)) for bundle in right)
        )
        call = replace(self.join, left_bundles=len(left))
        yield BarrierStep(
            tuple(StageCall(call, tuple(split.outputs[index] for split in splits)) for index in range(parts)), last=True
        )
        return ()

    def _key_types(self, left: Sequence[RowBundle], right: Sequence[RowBundle]) -> tuple[pa.DataType, ...] | None:
        """Types in which both sides' keys have the same hashes; numbers have them anyway."""
        one, other = schema_of(left), schema_of(right)
        if one is None or other is None:
            return None
        names = [str(index) for index in range(len(self.join.left_on))]
        sides = [
            pa.schema([(name, schema.field(key).type) for name, key in zip(names, keys, strict=True)])
            for schema, keys in ((one, self.join.left_on), (other, self.join.right_on))
        ]
        return tuple(key_schema(*sides).types)
