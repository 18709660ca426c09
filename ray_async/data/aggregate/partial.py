"""Partial aggregation: what is computed of each block alone, and how these results become those of all blocks."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from ray_async.data.aggregate.functions import Aggregation, Count, Max, Mean, Min, Sum

__all__ = ("Partial", "partials_of")


@dataclass(frozen=True)
class Partial:
    """An aggregation in two steps.

    Attributes:
        parts: what is computed of each block.
        merges: what is computed of the columns of `parts` of all blocks; each has the name of its part.
        finish: makes the aggregation's column of the table of merges.
    """

    parts: tuple[Aggregation, ...]
    merges: tuple[Aggregation, ...]
    finish: Callable[[pa.Table], Any]


class _WideSum(Sum):
    """A sum that stays a decimal where it may be too large for 64 bits: others may make it smaller again."""

    def finished(self, column: pa.ChunkedArray) -> pa.ChunkedArray:
        return column


@dataclass(frozen=True)
class _Column:
    """The column of one merge."""

    name: str

    def __call__(self, merged: pa.Table) -> Any:
        return merged.column(self.name)


@dataclass(frozen=True)
class _Quotient:
    """A sum by a count; null where nothing was counted."""

    total: str
    count: str

    def __call__(self, merged: pa.Table) -> Any:
        count = merged.column(self.count)
        some = pc.if_else(pc.equal(count, 0), pa.scalar(None, pa.int64()), count)
        return pc.divide(merged.column(self.total).cast(pa.float64()), some.cast(pa.float64()))


def partials_of(aggregations: Sequence[Aggregation], schema: pa.Schema | None) -> list[Partial] | None:
    """The two steps of each aggregation; None where one of them needs all rows of a group at once.

    Args:
        aggregations: the aggregations.
        schema: of the rows.
    """
    found = [_partial(aggregation, schema, str(index)) for index, aggregation in enumerate(aggregations)]
    known = [partial for partial in found if partial is not None]
    return known if len(known) == len(found) else None


def _partial(aggregation: Aggregation, schema: pa.Schema | None, name: str) -> Partial | None:
    on = aggregation.on
    if schema is None or (on is not None and on not in schema.names):
        return None
    if type(aggregation) is Count:
        return _same(Count(on, aggregation.ignore_nulls, alias_name=name), Sum(name, alias_name=name))
    if on is None or not aggregation.ignore_nulls:
        return None
    kind = schema.field(on).type
    types = pa.types
    whole = types.is_integer(kind) or types.is_floating(kind)
    if type(aggregation) is Sum and (whole or types.is_boolean(kind) or types.is_decimal128(kind)):
        return _same(_WideSum(on, alias_name=name), Sum(name, alias_name=name))
    if type(aggregation) is Min and not types.is_nested(kind):
        return _same(Min(on, alias_name=name), Min(name, alias_name=name))
    if type(aggregation) is Max and not types.is_nested(kind):
        return _same(Max(on, alias_name=name), Max(name, alias_name=name))
    if type(aggregation) is Mean and whole:
        total, count = f"{name} total", f"{name} count"
        return Partial(
            (_WideSum(on, alias_name=total), Count(on, ignore_nulls=True, alias_name=count)),
            (_WideSum(total, alias_name=total), Sum(count, alias_name=count)),
            _Quotient(total, count),
        )
    return None


def _same(part: Aggregation, merge: Aggregation) -> Partial:
    return Partial((part,), (merge,), _Column(merge.name))
