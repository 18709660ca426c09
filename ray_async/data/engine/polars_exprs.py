"""Expressions in Polars' terms, where it is known that they mean the same there.

What differs and is therefore translated with care, or not at all: Polars holds NaN to be equal to itself and larger
than all numbers, whole numbers wrap around silently, and types of different width meet in another one.
"""

from __future__ import annotations

import datetime
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from ray_async.data.expressions.expr import Alias, CallExpr, ColumnExpr, Expr, LiteralExpr

if TYPE_CHECKING:
    import polars as pl

__all__ = ("can_express", "expressed")

_COMPARISONS: dict[str, Callable[[Any, Any], Any]] = {
    "equal": lambda one, other: one == other,
    "not_equal": lambda one, other: one != other,
    "less": lambda one, other: one < other,
    "less_equal": lambda one, other: one <= other,
    "greater": lambda one, other: one > other,
    "greater_equal": lambda one, other: one >= other,
}
_MIRRORED = {"less": "greater", "less_equal": "greater_equal", "greater": "less", "greater_equal": "less_equal"}
_ARITHMETIC: dict[str, Callable[[Any, Any], Any]] = {
    "add": lambda one, other: one + other,
    "subtract": lambda one, other: one - other,
    "multiply": lambda one, other: one * other,
    "divide": lambda one, other: one / other,
}
_LARGEST = 2**31


def can_express(expr: Expr, schema: pa.Schema) -> bool:
    """Whether `expressed` knows an expression over columns of a schema."""
    return _kind(expr, schema) is not None


def _kind(expr: Expr, schema: pa.Schema) -> str | None:
    """What an expression gives: number (of 64 bits with a point), small (whole, of 32), long, text, truth, day; None
    if it is unknown here."""
    if isinstance(expr, Alias):
        return _kind(expr.of, schema)
    if isinstance(expr, ColumnExpr):
        return _kind_of_type(schema.field(expr.column).type) if expr.column in schema.names else None
    if isinstance(expr, LiteralExpr):
        return _kind_of_value(expr.value)
    if not isinstance(expr, CallExpr):
        return None
    kinds = [_kind(arg, schema) for arg in expr.args]
    if None in kinds:
        return None
    return _kind_of_call(expr, [kind for kind in kinds if kind is not None])


def _kind_of_call(expr: CallExpr, kinds: list[str]) -> str | None:
    name = expr.function
    if name in _COMPARISONS:
        return "truth" if _comparable(expr, kinds) else None
    if name in _ARITHMETIC:
        return "number" if "number" in kinds and set(kinds) <= {"number", "small"} else None
    if name in ("and", "or", "not"):
        return "truth" if set(kinds) == {"truth"} else None
    if name in ("is_null", "is_not_null"):
        return "truth"
    if name == "is_in":
        same = {_kind_of_value(value) for value in expr.options["values"]} == set(kinds)
        return "truth" if same and kinds[0] in ("small", "text") else None
    if name in ("str_contains", "str_starts_with") and kinds == ["text"]:
        return "truth" if set(expr.options) == {"pattern"} or expr.options.get("ignore_case") is False else None
    return "long" if name == "dt_year" and kinds == ["day"] else None


def _comparable(expr: CallExpr, kinds: list[str]) -> bool:
    whole, literal = {"small", "long"}, [isinstance(arg, LiteralExpr) for arg in expr.args]
    if "number" in kinds:
        return any(literal) and not all(literal) and set(kinds) <= {"number", "small"}
    return len(set(kinds)) == 1 or set(kinds) <= whole


def _kind_of_type(kind: pa.DataType) -> str | None:
    types = pa.types
    if kind in (pa.float64(),):
        return "number"
    if kind in (pa.int32(), pa.int16(), pa.int8(), pa.uint8(), pa.uint16()):
        return "small"
    if kind == pa.int64():
        return "long"
    if types.is_string(kind) or types.is_large_string(kind):
        return "text"
    if types.is_boolean(kind):
        return "truth"
    return "day" if kind == pa.date32() else None


def _kind_of_value(value: Any) -> str | None:
    if isinstance(value, bool):
        return "truth"
    if isinstance(value, int):
        return "small" if -_LARGEST <= value < _LARGEST else None
    if isinstance(value, float):
        return "number" if value == value else None
    if isinstance(value, str):
        return "text"
    return "day" if isinstance(value, datetime.date) and not isinstance(value, datetime.datetime) else None


def expressed(expr: Expr, schema: pa.Schema) -> pl.Expr:
    """An expression for which `can_express` is true, in Polars' terms."""
    import polars as pl

    if isinstance(expr, Alias):
        return expressed(expr.of, schema)
    if isinstance(expr, ColumnExpr):
        return pl.col(expr.column)
    if isinstance(expr, LiteralExpr):
        return pl.lit(expr.value)
    assert isinstance(expr, CallExpr)
    name, args = expr.function, [expressed(arg, schema) for arg in expr.args]
    if name in _COMPARISONS:
        return _compared(expr, args, schema)
    if name in _ARITHMETIC:
        kinds = [_kind(arg, schema) for arg in expr.args]
        one, other = (arg if kind == "number" else arg.cast(pl.Float64) for arg, kind in zip(args, kinds, strict=True))
        return _ARITHMETIC[name](one, other)  # type: ignore[no-any-return]
    simple: dict[str, Callable[[], pl.Expr]] = {
        "and": lambda: args[0] & args[1],
        "or": lambda: args[0] | args[1],
        "not": lambda: ~args[0],
        "is_null": lambda: args[0].is_null(),
        "is_not_null": lambda: args[0].is_not_null(),
        "is_in": lambda: args[0].is_in(list(expr.options["values"])),
        "str_contains": lambda: args[0].str.contains(expr.options["pattern"], literal=True),
        "str_starts_with": lambda: args[0].str.starts_with(expr.options["pattern"]),
        "dt_year": lambda: args[0].dt.year().cast(pl.Int64),
    }
    return simple[name]()


def _compared(expr: CallExpr, args: list[pl.Expr], schema: pa.Schema) -> pl.Expr:
    name = expr.function
    found = _COMPARISONS[name](*args)
    kinds = [_kind(arg, schema) for arg in expr.args]
    if "number" not in kinds:
        return found  # type: ignore[no-any-return]
    # One side is a literal, which is no NaN: only "greater" is true for NaN in Polars and not here.
    values = 1 if isinstance(expr.args[0], LiteralExpr) else 0
    larger = (_MIRRORED.get(name, name) if values else name) in ("greater", "greater_equal")
    if larger and kinds[values] == "number":
        return found & args[values].is_not_nan()  # type: ignore[no-any-return]
    return found  # type: ignore[no-any-return]
