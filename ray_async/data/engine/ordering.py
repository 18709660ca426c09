"""Ordering: stable sorts with nulls last and NaN before them, whichever the direction."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ray_async.data.block.columns import python_of

__all__ = ("order_of", "sort_columns", "sorted_table")


def sorted_table(table: pa.Table, keys: Sequence[str], descending: Sequence[bool]) -> pa.Table:
    """The rows in order; equal rows keep theirs.

    Raises:
        TypeError: A key's values cannot be ordered.
    """
    if table.num_rows < 2:
        return table
    return table.take(order_of(table, keys, descending))


def order_of(table: pa.Table, keys: Sequence[str], descending: Sequence[bool]) -> pa.Array:
    """The rows' indices in order."""
    if table.num_rows < 2:
        return pa.array(np.arange(table.num_rows))
    fast = _numeric_order([table.column(key) for key in keys], descending) if keys else None
    if fast is not None:
        return fast
    columns, orders = sort_columns(table, keys, descending)
    # Arrow's sort is stable only beside a last key that tells all rows apart.
    columns.append(pa.chunked_array([pa.array(np.arange(table.num_rows, dtype=np.int64))]))
    orders.append("ascending")
    names = [str(index) for index in range(len(columns))]
    keyed = pa.Table.from_arrays(columns, names=names)
    return pc.sort_indices(keyed, sort_keys=list(zip(names, orders, strict=True)))  # nulls are put last by default


def _numeric_order(columns: Sequence[pa.ChunkedArray], descending: Sequence[bool]) -> pa.Array | None:
    """The order of numbers without nulls; NumPy puts NaN last, as it shall be."""
    for column in columns:
        if column.null_count or not (pa.types.is_integer(column.type) or pa.types.is_floating(column.type)):
            return None
    keys = [_ascending(column.to_numpy(), down) for column, down in zip(columns, descending, strict=True)]
    return pa.array(np.argsort(keys[0], kind="stable") if len(keys) == 1 else np.lexsort(keys[::-1]))


def _ascending(values: np.ndarray[Any, Any], down: bool) -> np.ndarray[Any, Any]:
    """Values in whose order come those of a direction; NaN stays NaN."""
    if not down:
        return values
    return -values if values.dtype.kind == "f" else ~values


def sort_columns(
    table: pa.Table, keys: Sequence[str], descending: Sequence[bool]
) -> tuple[list[pa.ChunkedArray], list[str]]:
    """Columns and directions that put rows in the order of the keys where an engine puts nulls last."""
    columns: list[pa.ChunkedArray] = []
    orders: list[str] = []
    for key, down in zip(keys, descending, strict=True):
        column = _sortable(table.column(key), key)
        if down and pa.types.is_floating(column.type):  # NaN is the largest number, so here it would come first
            columns.append(pc.fill_null(pc.is_nan(column), True))
            orders.append("ascending")
        columns.append(column)
        orders.append("descending" if down else "ascending")
    return columns, orders


def _sortable(column: pa.ChunkedArray, key: str) -> pa.ChunkedArray:
    kind = column.type
    if pa.types.is_dictionary(kind):
        return _sortable(column.cast(kind.value_type), key)
    if pa.types.is_null(kind):
        return column.cast(pa.int8())
    if not pa.types.is_nested(kind) and not isinstance(kind, pa.BaseExtensionType):
        return column
    values = python_of(column)
    present = [value for value in values if value is not None]
    try:
        ranks = _ranks(present)
    except (TypeError, ValueError):
        kinds = ", ".join(sorted({type(value).__name__ for value in present}))
        raise TypeError(f"column {key!r} cannot be sorted: its values are {kinds}") from None
    found = iter(ranks)
    return pa.chunked_array([pa.array([None if value is None else next(found) for value in values], type=pa.int64())])


def _ranks(values: list[Any]) -> list[int]:
    order = sorted(range(len(values)), key=lambda index: values[index])
    ranks = [0] * len(values)
    rank = -1
    last: Any = None
    for position, index in enumerate(order):
        if position == 0 or values[index] != last:
            rank += 1
        last = values[index]
        ranks[index] = rank
    return ranks
