"""Relational runs in Polars: from the scan of Parquet files to the result in one call.

Polars reads, decodes and computes with all cores and without a block in between. It is used where its answer is known
to be the one that `ordering`, `grouping` and `joining` give. Polars starts its threads at its first query; that is in
a worker, forked from a process without any.
"""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from importlib.util import find_spec
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from ray_async.data.aggregate.functions import Aggregation, Count, Max, Mean, Min, Std, Sum
from ray_async.data.block.schema import conformed
from ray_async.data.engine.polars_exprs import can_express, expressed
from ray_async.data.engine.relation import Grouped, Head, Joined, Projected, Relation, Scan, Sorted, Where

if TYPE_CHECKING:
    import polars as pl

__all__ = ("PolarsRun", "can_run")

_KNOWN = (Count, Sum, Min, Max, Mean, Std)
_HOW: dict[str, Any] = {"inner": "inner", "left_outer": "left", "left_semi": "semi", "left_anti": "anti"}
#: Beyond this, by floats, a sum of integers may have wrapped around.
_LARGEST_SUM = 2.0**62
_LEFT, _RIGHT = "\0left", "\0right"
#: Bytes of Polars' columns that become Arrow's at a time.
_PART_BYTES = 64 << 20


def can_run(relation: Relation) -> bool:
    """Whether Polars gives the same rows for a relation and all that it is made of."""
    return find_spec("polars") is not None and _knows(relation, top=True)


def _knows(relation: Relation, top: bool = False) -> bool:
    if not all(_holds(kind) for kind in relation.schema.types):
        return False
    if isinstance(relation, Where):
        known = can_express(relation.predicate, relation.input.schema)
    elif isinstance(relation, Projected):
        known = all(can_express(expr, relation.input.schema) for _, expr in relation.exprs)
    elif isinstance(relation, Grouped):
        known = all(_knows_aggregation(each, relation.input.schema, top) for each in relation.aggregations)
    elif isinstance(relation, Joined):
        known = relation.how in _HOW and _comparable_keys(relation)
    else:
        known = True
    return known and all(_knows(part) for part in relation.inputs)


def _holds(kind: pa.DataType) -> bool:
    """Whether Polars holds a column's values as they are."""
    types = pa.types
    plain = (types.is_integer, types.is_floating, types.is_boolean, types.is_string, types.is_large_string)
    return bool((any(check(kind) for check in plain) and kind != pa.float16()) or kind == pa.date32())


def _knows_aggregation(aggregation: Aggregation, schema: pa.Schema, top: bool) -> bool:
    """Whether Polars computes it as `grouping` does; sums that may wrap around are looked at where they are the end."""
    if type(aggregation) not in _KNOWN:
        return False
    if isinstance(aggregation, Count):
        return True
    if not aggregation.ignore_nulls or aggregation.on is None:
        return False
    kind = schema.field(aggregation.on).type
    if "string" in str(kind) or kind == pa.date32():
        return isinstance(aggregation, (Min, Max))
    wide = pa.types.is_integer(kind) and kind.bit_width == 64
    return top or not (isinstance(aggregation, Sum) and wide)


def _comparable_keys(relation: Joined) -> bool:
    for one, other in zip(relation.left_on, relation.right_on, strict=True):
        kind = relation.left.schema.field(one).type
        if kind != relation.right.schema.field(other).type or pa.types.is_floating(kind):
            return False
    return True


@dataclass(frozen=True)
class PolarsRun:
    """A relation for which `can_run` is true.

    Attributes:
        relation: what is computed.
    """

    relation: Relation

    def read(self, params: Any) -> Iterator[pa.Table]:
        """Run it; the parameters are not looked at, since there is one call."""
        frame = _lazy(self.relation, ordered=True).collect()
        schema = self.relation.schema
        if isinstance(self.relation, Grouped):
            _check_sums(frame, self.relation.aggregations)
        frame = frame.select(schema.names)
        yield from _tables(frame, schema)


def _tables(frame: pl.DataFrame, schema: pa.Schema) -> Iterator[pa.Table]:
    """Arrow's columns of a frame, part by part, two at a time: texts are copied out of Polars' own form."""
    import polars as pl

    parts = max(1, int(frame.estimated_size()) // _PART_BYTES)
    bounds = [frame.height * index // parts for index in range(parts + 1)]
    newest = pl.CompatLevel.newest()

    def converted(start: int, stop: int) -> pa.Table:
        return conformed(frame.slice(start, stop - start).to_arrow(compat_level=newest), schema).combine_chunks()

    if parts == 1:
        yield converted(0, frame.height)
        return
    with ThreadPoolExecutor(2) as pool:
        ready = [pool.submit(converted, start, stop) for start, stop in pairwise(bounds)]
        while ready:
            yield ready.pop(0).result()


def _lazy(relation: Relation, *, ordered: bool) -> pl.LazyFrame:
    """A relation as Polars' plan; its rows in their order only if that is asked for."""
    import polars as pl

    if isinstance(relation, Scan):
        return pl.scan_parquet(list(relation.paths)).select(relation.schema.names)
    if isinstance(relation, Where):
        predicate = expressed(relation.predicate, relation.input.schema)
        return _lazy(relation.input, ordered=ordered).filter(predicate)
    if isinstance(relation, Projected):
        exprs = [expressed(expr, relation.input.schema).alias(name) for name, expr in relation.exprs]
        return _lazy(relation.input, ordered=ordered).select(exprs)
    if isinstance(relation, Head):
        return _lazy(relation.input, ordered=True).head(relation.rows)
    if isinstance(relation, Sorted):
        return _sorted(_lazy(relation.input, ordered=True), relation)
    if isinstance(relation, Grouped):
        return _grouped(_lazy(relation.input, ordered=False), relation, ordered)
    assert isinstance(relation, Joined)
    return _joined(relation, ordered)


def _sorted(frame: pl.LazyFrame, relation: Sorted) -> pl.LazyFrame:
    import polars as pl

    by: list[pl.Expr] = []
    descending: list[bool] = []
    for key, down in zip(relation.keys, relation.descending, strict=True):
        if down and pa.types.is_floating(relation.schema.field(key).type):
            by.append(pl.col(key).is_nan())  # NaN is the largest number, and shall come behind all others
            descending.append(False)
        by.append(pl.col(key))
        descending.append(down)
    return frame.sort(by, descending=descending, nulls_last=True, maintain_order=True)


def _joined(relation: Joined, ordered: bool) -> pl.LazyFrame:
    import polars as pl

    left, right = _lazy(relation.left, ordered=ordered), _lazy(relation.right, ordered=ordered)
    if _HOW[relation.how] in ("semi", "anti"):
        order: Any = "left" if ordered else "none"
        return left.join(
            right, left_on=relation.left_on, right_on=relation.right_on, how=_HOW[relation.how], maintain_order=order
        )
    keys = [f"\0{index}" for index in range(len(relation.left_on))]
    right = right.select(
        *(pl.col(name).alias(key) for name, key in zip(relation.right_on, keys, strict=True)),
        *(pl.col(name).alias(new) for name, new in relation.right_names),
    )
    left = left.select(pl.col(name).alias(new) for name, new in relation.left_names)
    new_names = dict(relation.left_names)
    left_on = [new_names[name] for name in relation.left_on]
    if not ordered:
        return left.join(right, left_on=left_on, right_on=keys, how=_HOW[relation.how]).select(relation.schema.names)
    # Numbers of rows, and a sort by them, cost half of what a join takes that keeps the order by itself.
    found = left.with_row_index(_LEFT).join(
        right.with_row_index(_RIGHT), left_on=left_on, right_on=keys, how=_HOW[relation.how]
    )
    place = pl.col(_LEFT).cast(pl.UInt64) * 2**32 + pl.col(_RIGHT).fill_null(0).cast(pl.UInt64)
    return found.sort(place).select(relation.schema.names)


def _grouped(frame: pl.LazyFrame, relation: Grouped, ordered: bool) -> pl.LazyFrame:
    exprs = [expr for each in relation.aggregations for expr in _exprs(each, relation.input.schema)]
    if not relation.keys:
        return frame.select(exprs)
    found = frame.group_by(list(relation.keys)).agg(exprs)
    return found.sort(list(relation.keys), nulls_last=True) if ordered else found


def _exprs(aggregation: Aggregation, schema: pa.Schema) -> list[pl.Expr]:
    import polars as pl

    name, on = aggregation.name, aggregation.on
    if on is None or (isinstance(aggregation, Count) and not aggregation.ignore_nulls):
        return [pl.len().cast(pl.Int64).alias(name)]
    kind = schema.field(on).type
    values = pl.col(on).fill_nan(None) if pa.types.is_floating(kind) else pl.col(on)
    if isinstance(aggregation, Count):
        return [values.count().cast(pl.Int64).alias(name)]
    if isinstance(aggregation, Sum):
        wide = values.cast(pl.Float64 if pa.types.is_floating(kind) else pl.Int64)
        total = pl.when(values.count() > 0).then(wide.sum()).alias(name)
        about = values.cast(pl.Float64).sum().alias(_about(name))
        return [total] if pa.types.is_floating(kind) else [total, about]
    if isinstance(aggregation, Mean):
        return [values.cast(pl.Float64).mean().alias(name)]
    if isinstance(aggregation, Std):
        few = (values.count() > 0) & (values.count() <= aggregation.ddof)
        spread = values.cast(pl.Float64).std(ddof=aggregation.ddof)
        return [pl.when(few).then(float("nan")).otherwise(spread).alias(name)]
    return [(values.min() if isinstance(aggregation, Min) else values.max()).alias(name)]


def _check_sums(frame: pl.DataFrame, aggregations: tuple[Aggregation, ...]) -> None:
    """Refuse sums of integers that may have wrapped around.

    Raises:
        OverflowError: One does not fit into 64 bits.
    """
    for aggregation in aggregations:
        if _about(aggregation.name) in frame.columns:
            about = frame.get_column(_about(aggregation.name)).abs().max()
            if about is not None and float(about) > _LARGEST_SUM:  # type: ignore[arg-type]
                raise OverflowError(f"{aggregation.name} does not fit into 64 bits")


def _about(name: str) -> str:
    return f"{name} as a float"
