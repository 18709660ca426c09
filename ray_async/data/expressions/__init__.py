"""Expressions: what is computed of a dataset's columns, as values that the optimizer can read.

`col` and `lit` begin one; operators and methods build on it. Null stays null, and a comparison with null is null; a
filter keeps the rows whose value is true.
"""

from __future__ import annotations

from ray_async.data.expressions.expr import Expr, col, lit

__all__ = ("Expr", "col", "lit")
