"""Expressions of pyarrow's, for readers that filter by them."""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from ray_async.data.expressions.expr import Alias, CallExpr, ColumnExpr, Expr, LiteralExpr

__all__ = ("arrow_expression",)

_OPERATORS: dict[str, Callable[..., Any]] = {
    "equal": operator.eq,
    "not_equal": operator.ne,
    "less": operator.lt,
    "less_equal": operator.le,
    "greater": operator.gt,
    "greater_equal": operator.ge,
    "and": operator.and_,
    "or": operator.or_,
    "not": operator.invert,
    "add": operator.add,
    "subtract": operator.sub,
    "multiply": operator.mul,
}


def arrow_expression(expr: Expr) -> Any:
    """The same as a `pyarrow.compute.Expression`.

    Raises:
        NotImplementedError: A part of it has no counterpart.
    """
    if isinstance(expr, ColumnExpr):
        return pc.field(expr.column)
    if isinstance(expr, LiteralExpr):
        return pc.scalar(expr.value)
    if isinstance(expr, Alias):
        return arrow_expression(expr.of)
    assert isinstance(expr, CallExpr)
    args = [arrow_expression(arg) for arg in expr.args]
    if expr.function in _OPERATORS:
        return _OPERATORS[expr.function](*args)
    if expr.function == "is_null":
        return args[0].is_null()
    if expr.function == "is_not_null":
        return args[0].is_valid()
    if expr.function == "is_in":
        return args[0].isin(pa.array(expr.options["values"]))
    if expr.function == "str_contains":
        return pc.match_substring(args[0], **expr.options)
    if expr.function == "str_starts_with":
        return pc.starts_with(args[0], **expr.options)
    raise NotImplementedError(f"Arrow's expressions have nothing for {expr.function}")
