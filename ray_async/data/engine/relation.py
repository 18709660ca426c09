"""Relations: what a run of relational work is, in plain values; an engine turns them into its own terms.

This is the seam at which an engine is swapped: `polars_runs` answers for the one that is used which relations it can
do (`can_run`), and does them (`PolarsRun`).
"""

from __future__ import annotations

from dataclasses import dataclass

import pyarrow as pa

from ray_async.data.aggregate.functions import Aggregation
from ray_async.data.expressions.expr import Expr

__all__ = ("Grouped", "Head", "Joined", "Projected", "Relation", "Scan", "Sorted", "Where")


@dataclass(frozen=True, eq=False)
class Relation:
    """Rows of known columns.

    Attributes:
        schema: names and types of the columns.
    """

    schema: pa.Schema

    @property
    def inputs(self) -> tuple[Relation, ...]:
        return ()


@dataclass(frozen=True, eq=False)
class Scan(Relation):
    """Parquet files on a local disk, all of one schema, in order.

    Attributes:
        paths: the files.
        bytes: size of the columns that are read, uncompressed.
    """

    paths: tuple[str, ...]
    bytes: int = 0


@dataclass(frozen=True, eq=False)
class _OneInput(Relation):
    input: Relation

    @property
    def inputs(self) -> tuple[Relation, ...]:
        return (self.input,)


@dataclass(frozen=True, eq=False)
class Where(_OneInput):
    """The rows for which an expression is true."""

    predicate: Expr


@dataclass(frozen=True, eq=False)
class Projected(_OneInput):
    """Columns computed of the input's."""

    exprs: tuple[tuple[str, Expr], ...]


@dataclass(frozen=True, eq=False)
class Head(_OneInput):
    """The first rows."""

    rows: int


@dataclass(frozen=True, eq=False)
class Sorted(_OneInput):
    """Rows in order of keys: nulls last, NaN before them, equal rows in their order."""

    keys: tuple[str, ...]
    descending: tuple[bool, ...]


@dataclass(frozen=True, eq=False)
class Grouped(_OneInput):
    """One row for each group, in the order of the keys; one in all without keys."""

    keys: tuple[str, ...]
    aggregations: tuple[Aggregation, ...]


@dataclass(frozen=True, eq=False)
class Joined(Relation):
    """Rows of two relations whose keys are equal, in the order of the left one.

    Attributes:
        left_names: for each column of the left its name in the result.
        right_names: the same of the right, without its keys.
    """

    left: Relation
    right: Relation
    left_on: tuple[str, ...]
    right_on: tuple[str, ...]
    how: str
    left_names: tuple[tuple[str, str], ...] = ()
    right_names: tuple[tuple[str, str], ...] = ()

    @property
    def inputs(self) -> tuple[Relation, ...]:
        return (self.left, self.right)
