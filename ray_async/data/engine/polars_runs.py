"""Relational runs in Polars: from the scan of Parquet files to the result in one call.

Polars reads, decodes and computes with all cores and without a block in between. It is used where its answer is known
to be the one that `ordering`, `grouping` and `joining` give. Polars starts its threads at its first query; that is in
a worker, forked from a process without any.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from ray_async.data.aggregate.functions import Aggregation, Count, Max, Mean, Min, Std, Sum
from ray_async.data.engine.lookups import can_be_places, places_of
from ray_async.data.engine.polars_exprs import can_express, expressed
from ray_async.data.engine.polars_parts import Part, gathered, looked_up, place_of, restored, sliced, tables_of
from ray_async.data.engine.relation import Grouped, Head, Joined, Projected, Relation, Scan, Sorted, Where

if TYPE_CHECKING:
    import polars as pl

__all__ = ("PolarsRun", "can_run")

_KNOWN = (Count, Sum, Min, Max, Mean, Std)
_HOW: dict[str, Any] = {"inner": "inner", "left_outer": "left", "left_semi": "semi", "left_anti": "anti"}
#: Beyond this, by floats, a sum of integers may have wrapped around.
_LARGEST_SUM = 2.0**62
_LEFT, _RIGHT = "\0left", "\0right"


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
        yield from tables_of(_parts(self.relation), self.relation.schema)


def _parts(relation: Relation) -> list[Part]:
    """The rows of the whole relation, in their order, and part by part where that is cheaper."""
    if isinstance(relation, Sorted):
        frame = _lazy(relation.input, ordered=True).collect().rechunk()
        return gathered(frame, frame.select(_order(relation)).to_series())
    if isinstance(relation, Joined) and _may_look_up(relation):
        return _looked_up(relation)
    numbered = _numbered(relation)
    if numbered is not None:
        return restored(numbered.collect(), _LEFT, _RIGHT)
    frame = _lazy(relation, ordered=True).collect()
    if isinstance(relation, Grouped):
        _check_sums(frame, relation.aggregations)
    return sliced(frame)


def _may_look_up(relation: Joined) -> bool:
    """Whether a join may find rows by their places: by one column of whole numbers."""
    keys = relation.left_on
    return len(keys) == 1 and not _only_chooses(relation) and can_be_places(relation.left.schema.field(keys[0]).type)


def _looked_up(relation: Joined) -> list[Part]:
    """The rows of a join; found by their places if the right side's keys are such, which its rows show."""
    left, right, keys = _sides(relation, ordered=True)
    others = right.collect()
    places = places_of(others.get_column(keys[0][1]))
    if places is None:
        return restored(_paired(relation, left, others.lazy(), keys, numbers=True).collect(), _LEFT, _RIGHT)
    outer = _HOW[relation.how] == "left"
    return looked_up(left.collect(), others, keys[0][0], places, relation.schema, outer=outer)


def _numbered(relation: Relation) -> pl.LazyFrame | None:
    """The rows of a join, or what is made of each, in any order, with the numbers that tell theirs; else None."""
    if isinstance(relation, Joined) and not _only_chooses(relation):
        return _matched(relation, ordered=True, numbers=True)
    below = _numbered(relation.input) if isinstance(relation, (Where, Projected)) else None
    if below is not None and isinstance(relation, Where):
        return below.filter(_predicate(relation))
    if below is not None and isinstance(relation, Projected):
        return below.select(*_exprs_of(relation), _LEFT, _RIGHT)
    return None


def _lazy(relation: Relation, *, ordered: bool) -> pl.LazyFrame:
    """A relation as Polars' plan; its rows in their order only if that is asked for."""
    import polars as pl

    if isinstance(relation, Scan):
        return pl.scan_parquet(list(relation.paths)).select(relation.schema.names)
    if isinstance(relation, Where):
        return _lazy(relation.input, ordered=ordered).filter(_predicate(relation))
    if isinstance(relation, Projected):
        return _lazy(relation.input, ordered=ordered).select(_exprs_of(relation))
    if isinstance(relation, Head):
        return _lazy(relation.input, ordered=True).head(relation.rows)
    if isinstance(relation, Sorted):
        return _sorted(_lazy(relation.input, ordered=True), relation)
    if isinstance(relation, Grouped):
        return _grouped(_lazy(relation.input, ordered=False), relation, ordered)
    assert isinstance(relation, Joined)
    return _joined(relation, ordered)


def _predicate(relation: Where) -> pl.Expr:
    return expressed(relation.predicate, relation.input.schema)


def _exprs_of(relation: Projected) -> list[pl.Expr]:
    return [expressed(expr, relation.input.schema).alias(name) for name, expr in relation.exprs]


def _sorted(frame: pl.LazyFrame, relation: Sorted) -> pl.LazyFrame:
    by, descending = _keys(relation)
    return frame.sort(by, descending=descending, nulls_last=True, maintain_order=True)


def _order(relation: Sorted) -> pl.Expr:
    """The numbers of the input's rows, in the order in which they come."""
    import polars as pl

    by, descending = _keys(relation)
    return pl.arg_sort_by(by, descending=descending, nulls_last=True, maintain_order=True)


def _keys(relation: Sorted) -> tuple[list[pl.Expr], list[bool]]:
    import polars as pl

    by: list[pl.Expr] = []
    descending: list[bool] = []
    for key, down in zip(relation.keys, relation.descending, strict=True):
        if down and pa.types.is_floating(relation.schema.field(key).type):
            by.append(pl.col(key).is_nan())  # NaN is the largest number, and shall come behind all others
            descending.append(False)
        by.append(pl.col(key))
        descending.append(down)
    return by, descending


def _only_chooses(relation: Joined) -> bool:
    """Whether a join gives rows of its left side alone."""
    return _HOW[relation.how] in ("semi", "anti")


def _joined(relation: Joined, ordered: bool) -> pl.LazyFrame:
    if _only_chooses(relation):
        left, right = _lazy(relation.left, ordered=ordered), _lazy(relation.right, ordered=ordered)
        order: Any = "left" if ordered else "none"
        return left.join(
            right, left_on=relation.left_on, right_on=relation.right_on, how=_HOW[relation.how], maintain_order=order
        )
    found = _matched(relation, ordered=ordered, numbers=ordered)
    if ordered:
        # Numbers of rows, and a sort by them, cost half of what a join takes that keeps the order by itself.
        found = found.sort(place_of(_LEFT, _RIGHT))
    return found.select(relation.schema.names)


def _matched(relation: Joined, *, ordered: bool, numbers: bool) -> pl.LazyFrame:
    """The rows of a join in any order, with the numbers of the rows of both sides if these are asked for."""
    left, right, keys = _sides(relation, ordered=ordered)
    return _paired(relation, left, right, keys, numbers=numbers)


def _sides(relation: Joined, *, ordered: bool) -> tuple[pl.LazyFrame, pl.LazyFrame, list[tuple[str, str]]]:
    """Both sides of a join with the result's names, and the columns that are compared: of the left, of the right."""
    import polars as pl

    keys = [f"\0{index}" for index in range(len(relation.left_on))]
    right = _lazy(relation.right, ordered=ordered).select(
        *(pl.col(name).alias(key) for name, key in zip(relation.right_on, keys, strict=True)),
        *(pl.col(name).alias(new) for name, new in relation.right_names),
    )
    left = _lazy(relation.left, ordered=ordered).select(pl.col(name).alias(new) for name, new in relation.left_names)
    new_names = dict(relation.left_names)
    return left, right, [(new_names[name], key) for name, key in zip(relation.left_on, keys, strict=True)]


def _paired(
    relation: Joined, left: pl.LazyFrame, right: pl.LazyFrame, keys: list[tuple[str, str]], *, numbers: bool
) -> pl.LazyFrame:
    if numbers:
        left, right = left.with_row_index(_LEFT), right.with_row_index(_RIGHT)
    left_on, right_on = zip(*keys, strict=True)
    return left.join(right, left_on=left_on, right_on=right_on, how=_HOW[relation.how])


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
