"""Grouping: rows with equal keys put together, and aggregated. Null equals null here, and NaN equals NaN."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ray_async.data.aggregate.functions import Aggregation, ArrowAggregate, hashable
from ray_async.data.block.columns import python_of
from ray_async.data.engine.ordering import order_of

__all__ = ("aggregated", "group_bounds", "group_numbers")

_ROW = "\0row"


def aggregated(
    table: pa.Table, keys: Sequence[str], aggregations: Sequence[Aggregation], *, first_seen: bool = False
) -> pa.Table:
    """One row for each group: its keys, and a column for each aggregation.

    Args:
        table: all rows of these groups.
        keys: columns whose values make the groups; none: all rows are one group.
        aggregations: what is computed.
        first_seen: order of the groups: of first appearance; else of the keys, nulls last.
    """
    plans = [aggregation.arrow(table) for aggregation in aggregations]
    found = _all_by_arrow(table, keys, aggregations, plans) if keys and table.num_rows else None
    if found is None:
        found = _one_by_one(table, keys, aggregations, plans)
    if not keys:
        return found.drop_columns([_ROW])
    if first_seen:
        order = pa.array(np.argsort(found.column(_ROW).to_numpy(), kind="stable"))
    else:
        order = order_of(found, keys, [False] * len(keys))
    return found.drop_columns([_ROW]).take(order)


def _all_by_arrow(
    table: pa.Table, keys: Sequence[str], aggregations: Sequence[Aggregation], plans: Sequence[ArrowAggregate | None]
) -> pa.Table | None:
    """Groups in one pass of Arrow's; None where it cannot do one of the keys or aggregations."""
    columns = [table.column(key) for key in keys]
    if any(plan is None for plan in plans) or not all(_plain(column.type) for column in columns):
        return None
    arrays = [_without_negative_zero(column) for column in columns] + [pa.array(np.arange(table.num_rows))]
    names = [f"k{index}" for index in range(len(keys))] + [_ROW]
    calls: list[tuple[object, ...]] = [(_ROW, "min")]
    for index, plan in enumerate(plans):
        if plan is None or plan.column is None:
            calls.append(([], "count_all"))
            continue
        arrays.append(plan.column)
        names.append(f"v{index}")
        calls.append((f"v{index}", plan.function, plan.options))
        calls.append((f"v{index}", "count"))
    grouped = pa.Table.from_arrays(arrays, names=names).group_by(names[: len(keys)]).aggregate(calls)
    found = [grouped.column(name) for name in names[: len(keys)]]
    for index, (aggregation, plan) in enumerate(zip(aggregations, plans, strict=True)):
        if plan is None or plan.column is None:
            found.append(aggregation.finished(grouped.column("count_all")))
            continue
        values = _with_nan(plan, grouped.column(f"v{index}_{plan.function}"), grouped.column(f"v{index}_count"))
        found.append(aggregation.finished(values))
    names = [*keys, *(aggregation.name for aggregation in aggregations), _ROW]
    return pa.Table.from_arrays([*found, grouped.column(f"{_ROW}_min")], names=names)


def _plain(kind: pa.DataType) -> bool:
    types = pa.types
    if isinstance(kind, pa.BaseExtensionType):
        return False
    text = types.is_string(kind) or types.is_large_string(kind) or types.is_binary(kind)
    return bool(types.is_primitive(kind) or text)


def _without_negative_zero(column: pa.ChunkedArray) -> pa.ChunkedArray:
    return pc.add(column, pa.scalar(0.0, column.type)) if pa.types.is_floating(column.type) else column


def _with_nan(plan: ArrowAggregate, values: pa.ChunkedArray, counts: pa.ChunkedArray) -> pa.ChunkedArray:
    if plan.least == 1:
        return values
    few = pc.and_(pc.greater(counts, 0), pc.less(counts, plan.least))
    return pc.if_else(few, pa.scalar(float("nan"), values.type), values)


def _one_by_one(
    table: pa.Table, keys: Sequence[str], aggregations: Sequence[Aggregation], plans: Sequence[ArrowAggregate | None]
) -> pa.Table:
    """Groups by numbers that are given to equal keys, one aggregation after the other."""
    numbers = group_numbers(table, keys)
    count = int(pc.max(numbers).as_py()) + 1 if table.num_rows else 0
    if not keys:
        count = 1
    columns = [
        _by_arrow(aggregation, plan, numbers, count)
        if plan is not None
        else _by_group(aggregation, table, numbers, count)
        for aggregation, plan in zip(aggregations, plans, strict=True)
    ]
    first = _first_rows(numbers, count) if keys else pa.array([0])
    heads = table.select(list(keys)).take(first) if keys else None
    names = [*keys, *(aggregation.name for aggregation in aggregations), _ROW]
    return pa.Table.from_arrays([*(heads.columns if heads is not None else ()), *columns, first], names=names)


def group_numbers(table: pa.Table, keys: Sequence[str]) -> pa.Array:
    """For each row the number of its group, from 0 in order of first appearance."""
    codes = [_codes(table.column(key)) for key in keys]
    if not codes:
        return pa.array(np.zeros(table.num_rows, dtype=np.int64))
    found = codes[0]
    for other in codes[1:]:
        width = int(other.max()) + 1 if len(other) else 1
        found = _codes_of_array(found.astype(np.int64) * width + other)
    return pa.array(found)


def _codes(column: pa.ChunkedArray) -> np.ndarray[Any, Any]:
    kind = column.type
    if pa.types.is_dictionary(kind):
        return _codes(column.cast(kind.value_type))
    if pa.types.is_floating(kind):
        column = pc.add(column, pa.scalar(0.0, kind))  # so that -0.0 is 0.0
    if pa.types.is_nested(kind) or isinstance(kind, pa.BaseExtensionType):
        seen: dict[object, int] = {}
        values = [seen.setdefault(hashable(value), len(seen)) for value in python_of(column)]
        return np.array(values, dtype=np.int64)
    if pa.types.is_null(kind):
        return np.zeros(len(column), dtype=np.int64)
    encoded = column.combine_chunks().dictionary_encode(null_encoding="encode")
    if isinstance(encoded, pa.ChunkedArray):
        encoded = encoded.combine_chunks() if encoded.num_chunks else pa.array([], type=encoded.type)
    found: np.ndarray[Any, Any] = encoded.indices.to_numpy(zero_copy_only=False)
    return found.astype(np.int64, copy=False)


def _codes_of_array(values: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    found: np.ndarray[Any, Any] = pa.array(values).dictionary_encode().indices.to_numpy()
    return found.astype(np.int64, copy=False)


def _first_rows(numbers: pa.Array, count: int) -> pa.Array:
    first = np.empty(count, dtype=np.int64)
    found = numbers.to_numpy()
    first[found[::-1]] = np.arange(len(found) - 1, -1, -1)
    return pa.array(first)


def _by_arrow(aggregation: Aggregation, plan: ArrowAggregate, numbers: pa.Array, count: int) -> pa.ChunkedArray:
    if plan.column is None:
        counts = np.bincount(numbers.to_numpy(), minlength=count)
        return aggregation.finished(pa.chunked_array([pa.array(counts.astype(np.int64))]))
    if count <= 1:
        value = pc.call_function(plan.function, [plan.column], plan.options)
        values = pa.chunked_array([pa.array([value.as_py()] * count, type=value.type)])
        counts = pa.chunked_array([pa.array([len(plan.column) - plan.column.null_count] * count)])
        return aggregation.finished(_with_nan(plan, values, counts))
    grouped = pa.table({"g": numbers, "v": plan.column}).group_by("g")
    found = grouped.aggregate([("v", plan.function, plan.options), ("v", "count")])
    values = _with_nan(plan, found.column(f"v_{plan.function}"), found.column("v_count"))
    order = np.argsort(found.column("g").to_numpy(), kind="stable")
    return aggregation.finished(values.take(pa.array(order)))


def _by_group(aggregation: Aggregation, table: pa.Table, numbers: pa.Array, count: int) -> pa.Array:
    narrow = table if aggregation.on is None else table.select([aggregation.on])
    if count == 1:
        return aggregation.column_of([aggregation.of_group(narrow)])
    order = np.argsort(numbers.to_numpy(), kind="stable")
    sorted_rows = narrow.take(pa.array(order)) if narrow.num_columns else narrow
    sizes = np.bincount(numbers.to_numpy(), minlength=count)
    stops = np.cumsum(sizes)
    values = [
        aggregation.of_group(sorted_rows.slice(int(stop - size), int(size)))
        for stop, size in zip(stops, sizes, strict=True)
    ]
    return aggregation.column_of(values)


def group_bounds(table: pa.Table, keys: Sequence[str]) -> Iterator[tuple[int, int]]:
    """First row and the row after the last one of each group, in a table that is sorted by the keys."""
    numbers = group_numbers(table, keys).to_numpy()
    cuts = np.flatnonzero(np.diff(numbers)) + 1
    bounds = [0, *cuts.tolist(), len(numbers)]
    if len(numbers):
        yield from itertools.pairwise(bounds)
