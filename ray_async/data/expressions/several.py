"""Expressions that stand for several columns: all of them, or the fields of a struct."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from ray_async.data.expressions.expr import CallExpr, Expr, col

__all__ = ("StarExpr", "UnnestExpr", "expanded", "star", "unnest")


@dataclass(frozen=True, eq=False)
class StarExpr(Expr):
    """All columns as they are."""

    def __repr__(self) -> str:
        return "star()"


@dataclass(frozen=True, eq=False)
class UnnestExpr(Expr):
    """The fields of a struct."""

    of: Expr

    def __repr__(self) -> str:
        return f"unnest({self.of!r})"


def expanded(exprs: Sequence[tuple[str | None, Expr]], schema: pa.Schema | None) -> list[tuple[str, Expr]]:
    """Expressions with a name each, after those that stand for several.

    Raises:
        ValueError: An expression has no name, or the fields of a struct are not known.
        TypeError: It is no struct.
    """
    found: list[tuple[str, Expr]] = []
    for given, expr in exprs:
        if isinstance(expr, UnnestExpr):
            found += _fields(expr, schema)
        elif isinstance(expr, StarExpr):
            if schema is None:
                raise ValueError("star() needs columns that are known: call materialize() first")
            found += [(name, col(name)) for name in schema.names]
        else:
            name = given if given is not None else expr.name
            if name is None:
                raise ValueError(f"{expr!r} has no name: give one by alias()")
            found.append((name, expr))
    return found


def _fields(expr: UnnestExpr, schema: pa.Schema | None) -> list[tuple[str, Expr]]:
    from ray_async.data.expressions.evaluation import type_of

    if schema is None and expr.of.columns():
        kind: Any = getattr(expr.of, "type", None)
        if kind is None:
            raise ValueError(f"the fields of {expr.of!r} are not known before it is run: call materialize() first")
    else:
        kind = type_of(expr.of, schema if schema is not None else pa.schema([]))
    if not pa.types.is_struct(kind):
        raise TypeError(f"unnest() needs a struct, but {expr.of!r} is {kind}")
    return [(field.name, CallExpr("struct_field", (expr.of,), {"name": field.name})) for field in kind]


def star() -> StarExpr:
    """All columns as they are."""
    return StarExpr()


def unnest(expr: Expr) -> UnnestExpr:
    """The fields of a struct, each as a column of its own, for `Dataset.with_columns`.

    Args:
        expr: whose values are structs.

    Raises:
        TypeError: It is no expression, or stands for several columns itself.

    Example:
        >>> ds.with_columns(unnest(col("address")))
    """
    if not isinstance(expr, Expr) or isinstance(expr, (UnnestExpr, StarExpr)):
        raise TypeError(f"unnest() needs an expression of structs, but got {expr!r}")
    return UnnestExpr(expr)
