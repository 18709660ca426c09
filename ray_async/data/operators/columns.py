"""Steps of columns and expressions: projections and filters that run inside a chain."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import pyarrow as pa

from ray_async.data.expressions.evaluation import filtered, projected
from ray_async.data.expressions.expr import Expr
from ray_async.data.expressions.reshape import Reshape

__all__ = ("FilterStep", "ReshapeStep")


@dataclass(frozen=True)
class ReshapeStep:
    """A change of columns, which needs the table's own: of some datasets only running them tells these.

    Attributes:
        reshape: the change.
        counts_rows: whether it depends on the rows' numbers.
    """

    reshape: Reshape
    counts_rows: bool = False

    def run(self, tables: Iterable[pa.Table]) -> Iterator[pa.Table]:
        return self.run_from(tables, 0)

    def run_from(self, tables: Iterable[pa.Table], first_row: int) -> Iterator[pa.Table]:
        for table in tables:
            yield projected(table, self.reshape.exprs(table.column_names), first_row)
            first_row += table.num_rows


@dataclass(frozen=True)
class FilterStep:
    """The rows for which an expression is true.

    Attributes:
        predicate: the expression.
        counts_rows: whether it depends on the rows' numbers.
    """

    predicate: Expr
    counts_rows: bool = False

    def run(self, tables: Iterable[pa.Table]) -> Iterator[pa.Table]:
        return self.run_from(tables, 0)

    def run_from(self, tables: Iterable[pa.Table], first_row: int) -> Iterator[pa.Table]:
        for table in tables:
            yield filtered(table, self.predicate, first_row)
            first_row += table.num_rows
