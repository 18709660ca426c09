"""Expressions: what is computed of a dataset's columns, as values that the optimizer can read.

`col` and `lit` begin one; operators and methods build on it. Null stays null, and a comparison with null is null; a
filter keeps the rows whose value is true. `random`, `uuid` and `monotonically_increasing_id` depend on rows' numbers,
`udf` and `download` run on workers, `unnest` and `star` stand for several columns.
"""

from __future__ import annotations

from ray_async.data.expressions.download import DownloadExpr, download
from ray_async.data.expressions.expr import Alias, ColumnExpr, Expr, LiteralExpr, col, lit
from ray_async.data.expressions.rows import monotonically_increasing_id, random, uuid
from ray_async.data.expressions.several import StarExpr, UnnestExpr, star, unnest
from ray_async.data.expressions.user import UDFExpr, pyarrow_udf, udf

__all__ = (
    "Alias",
    "ColumnExpr",
    "DownloadExpr",
    "Expr",
    "LiteralExpr",
    "StarExpr",
    "UDFExpr",
    "UnnestExpr",
    "col",
    "download",
    "lit",
    "monotonically_increasing_id",
    "pyarrow_udf",
    "random",
    "star",
    "udf",
    "unnest",
    "uuid",
)
