"""Evaluation of expressions on tables."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from ray_async.data.expressions.expr import Alias, CallExpr, ColumnExpr, Expr, LiteralExpr, RowsExpr
from ray_async.data.expressions.functions import FUNCTIONS
from ray_async.data.plan.columns import check_columns

__all__ = ("evaluated", "filtered", "projected", "type_of")


def evaluated(expr: Expr, table: pa.Table, first_row: int | None = 0) -> pa.ChunkedArray | pa.Array | pa.Scalar:
    """An expression's values for the rows of a table; a scalar if it reads no column.

    Args:
        expr: the expression.
        table: the rows.
        first_row: the number of the first of them; None if only the type of the values matters.

    Raises:
        UnknownColumnError: The table lacks a column.
        TypeError: The function does not take columns of that type.
    """
    if isinstance(expr, ColumnExpr):
        check_columns([expr.column], table.column_names)
        return table.column(table.column_names.index(expr.column))
    if isinstance(expr, LiteralExpr):
        return pa.scalar(expr.value)
    if isinstance(expr, Alias):
        return evaluated(expr.of, table, first_row)
    if isinstance(expr, RowsExpr):
        if first_row is None:
            return pa.nulls(0, expr.type)
        return expr.values([evaluated(arg, table, first_row) for arg in expr.inputs], table.num_rows, first_row)
    if not isinstance(expr, CallExpr):
        raise TypeError(f"{expr!r} has no value of its own: it stands for columns in with_columns() alone")
    args = [evaluated(arg, table, first_row) for arg in expr.args]
    try:
        return FUNCTIONS[expr.function](*args, **expr.options)
    except (pa.ArrowNotImplementedError, pa.ArrowTypeError) as error:
        types = ", ".join(str(arg.type) for arg in args)
        raise TypeError(f"{expr!r} cannot be computed of {types}: {error}") from error


def as_column(value: Any, rows: int) -> pa.ChunkedArray | pa.Array:
    """A value as a column of so many rows."""
    if not isinstance(value, pa.Scalar):
        return value
    if isinstance(value.type, pa.BaseExtensionType) or not value.is_valid:
        return pa.array([value.as_py()] * rows, type=value.type)
    return pa.repeat(value, rows)


def projected(table: pa.Table, columns: Sequence[tuple[str, Expr]], first_row: int = 0) -> pa.Table:
    """A table of these expressions' values under these names."""
    arrays = [as_column(evaluated(expr, table, first_row), table.num_rows) for _, expr in columns]
    if not arrays:
        return table.select([])
    return pa.Table.from_arrays(arrays, names=[name for name, _ in columns])


def filtered(table: pa.Table, predicate: Expr, first_row: int = 0) -> pa.Table:
    """The rows for which an expression is true.

    Raises:
        TypeError: Its values are no truth values.
    """
    mask = evaluated(predicate, table, first_row)
    if pa.types.is_null(mask.type):
        return table.slice(0, 0)
    if not pa.types.is_boolean(mask.type):
        raise TypeError(f"a filter needs an expression that is true or false, but {predicate!r} is {mask.type}")
    mask = as_column(mask, table.num_rows)
    if not table.num_columns:
        return table.slice(0, pc.sum(mask).as_py() or 0)
    return table.filter(mask)


def type_of(expr: Expr, schema: pa.Schema) -> pa.DataType:
    """The type of an expression's values for rows of a schema."""
    return evaluated(expr, schema.empty_table(), None).type
