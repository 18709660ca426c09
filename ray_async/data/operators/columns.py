"""Steps of columns and expressions: projections and filters that run inside a chain."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import pyarrow as pa

from ray_async.data.expressions.evaluation import filtered, projected
from ray_async.data.expressions.expr import Expr
from ray_async.data.expressions.reshape import Reshape

__all__ = ("FilterStep", "ProjectStep", "ReshapeStep")


@dataclass(frozen=True)
class ProjectStep:
    """Expressions that replace the columns."""

    exprs: tuple[tuple[str, Expr], ...]

    def run(self, tables: Iterable[pa.Table]) -> Iterator[pa.Table]:
        for table in tables:
            yield projected(table, self.exprs)


@dataclass(frozen=True)
class ReshapeStep:
    """A change of columns that needs the table's own: of datasets whose columns only running them tells."""

    reshape: Reshape

    def run(self, tables: Iterable[pa.Table]) -> Iterator[pa.Table]:
        for table in tables:
            yield projected(table, self.reshape.exprs(table.column_names))


@dataclass(frozen=True)
class FilterStep:
    """The rows for which an expression is true."""

    predicate: Expr

    def run(self, tables: Iterable[pa.Table]) -> Iterator[pa.Table]:
        for table in tables:
            yield filtered(table, self.predicate)
