"""Nodes of logical plans. Each is immutable, has its inputs, and says what is known of its rows without running it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa

from ray_async.data.aggregate.functions import Aggregation
from ray_async.data.block.bundle import RowBundle
from ray_async.data.block.schema import unified
from ray_async.data.compute import Resources
from ray_async.data.engine.joining import joined
from ray_async.data.expressions.evaluation import type_of
from ray_async.data.expressions.expr import Expr
from ray_async.data.expressions.reshape import Reshape
from ray_async.data.operators.function import UserFunction
from ray_async.data.plan.seeds import Seed
from ray_async.data.sinks.base import RowSink
from ray_async.data.sources.base import RowSource

__all__ = (
    "Aggregate",
    "Blocks",
    "Filter",
    "Join",
    "Limit",
    "MapBatches",
    "MapGroups",
    "MapRows",
    "PlanNode",
    "Project",
    "RandomizeBlocks",
    "Read",
    "Repartition",
    "Shuffle",
    "Sort",
    "Union",
    "Write",
    "Zip",
)


@dataclass(frozen=True, eq=False)
class PlanNode:
    """A step of a plan."""

    @property
    def inputs(self) -> tuple[PlanNode, ...]:
        return ()

    @property
    def label(self) -> str:
        """For `explain`, errors and statistics."""
        return type(self).__name__

    def schema(self) -> pa.Schema | None:
        """Columns and types; None where only running it tells."""
        return None

    def count(self) -> int | None:
        """Number of rows; None where only running it tells."""
        return None

    @property
    def counts_rows(self) -> bool:
        """Whether it depends on the numbers of its rows."""
        return False

    @property
    def runs_functions(self) -> bool:
        """Whether it has to run on workers, however few rows there are."""
        return False

    def columns(self) -> list[str] | None:
        schema = self.schema()
        return None if schema is None else list(schema.names)


@dataclass(frozen=True, eq=False)
class _Derives(PlanNode):
    """A node whose schema takes work to derive of its inputs', for instance a join of empty tables: it is done once."""

    def schema(self) -> pa.Schema | None:
        found: pa.Schema | None = self.__dict__.get("_schema")
        if found is None:
            found = self.__dict__["_schema"] = self._derived()
        return found

    def _derived(self) -> pa.Schema | None:
        raise NotImplementedError

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in self.__dict__.items() if name != "_schema"}


@dataclass(frozen=True, eq=False)
class Read(PlanNode):
    """A source; ``blocks`` is the number of reads that the user asked for."""

    source: RowSource
    blocks: int | None = None
    resources: Resources = field(default_factory=Resources)

    @property
    def label(self) -> str:
        return f"Read{self.source.name}"

    def schema(self) -> pa.Schema | None:
        return self.source.schema()

    def count(self) -> int | None:
        return self.source.count()


@dataclass(frozen=True, eq=False)
class Blocks(PlanNode):
    """Rows that exist already. ``fixed`` says whether each bundle has to stay a block of its own."""

    bundles: tuple[RowBundle, ...]
    known: pa.Schema | None
    fixed: bool = False

    @property
    def label(self) -> str:
        return "Blocks"

    def schema(self) -> pa.Schema | None:
        says_nothing = self.known is not None and not len(self.known) and not self.count()
        return None if says_nothing else self.known

    def count(self) -> int:
        return sum(bundle.rows for bundle in self.bundles)


@dataclass(frozen=True, eq=False)
class _OneInput(PlanNode):
    input: PlanNode

    @property
    def inputs(self) -> tuple[PlanNode, ...]:
        return (self.input,)


@dataclass(frozen=True, eq=False)
class _SameRows(_OneInput):
    def schema(self) -> pa.Schema | None:
        return self.input.schema()


@dataclass(frozen=True, eq=False)
class MapRows(_OneInput):
    """A function of rows: ``kind`` is map, flat_map or filter."""

    kind: str
    function: UserFunction
    resources: Resources

    @property
    def label(self) -> str:
        return self.function.stage

    def schema(self) -> pa.Schema | None:
        return self.input.schema() if self.kind == "filter" else None

    def count(self) -> int | None:
        return self.input.count() if self.kind == "map" else None


@dataclass(frozen=True, eq=False)
class MapBatches(_OneInput):
    """A function of batches."""

    function: UserFunction
    rows: int | None
    batch_format: str | None
    writable: bool
    resources: Resources

    @property
    def label(self) -> str:
        return self.function.stage


@dataclass(frozen=True, eq=False)
class Project(_Derives, _OneInput):
    """Columns computed of the input's, which replace them."""

    reshape: Reshape
    resources: Resources | None = None

    @property
    def label(self) -> str:
        return self.reshape.what

    @property
    def counts_rows(self) -> bool:
        return any(expr.counts_rows for expr in self.reshape.computed)

    @property
    def runs_functions(self) -> bool:
        return any(expr.runs_functions for expr in self.reshape.computed)

    @property
    def exprs(self) -> tuple[tuple[str, Expr], ...] | None:
        """The new columns; None where the input's columns are not known."""
        columns = self.input.columns()
        return None if columns is None else self.reshape.exprs(columns)

    def _derived(self) -> pa.Schema | None:
        known = self.input.schema()
        if known is None:
            return None
        return pa.schema([(name, type_of(expr, known)) for name, expr in self.reshape.exprs(known.names)])

    def count(self) -> int | None:
        return self.input.count()


@dataclass(frozen=True, eq=False)
class Filter(_SameRows):
    """The rows for which an expression is true."""

    predicate: Expr

    @property
    def label(self) -> str:
        return f"Filter({self.predicate!r})"

    @property
    def counts_rows(self) -> bool:
        return self.predicate.counts_rows

    @property
    def runs_functions(self) -> bool:
        return self.predicate.runs_functions


@dataclass(frozen=True, eq=False)
class Limit(_SameRows):
    """The first rows."""

    rows: int

    @property
    def label(self) -> str:
        return f"Limit({self.rows})"

    def count(self) -> int | None:
        count = self.input.count()
        return None if count is None else min(count, self.rows)


@dataclass(frozen=True, eq=False)
class Union(_Derives):
    """All rows of the first, then of the second, and so on."""

    parts: tuple[PlanNode, ...]

    @property
    def inputs(self) -> tuple[PlanNode, ...]:
        return self.parts

    def _derived(self) -> pa.Schema | None:
        schemas = [part.schema() for part in self.parts]
        known = [schema for schema in schemas if schema is not None]
        return unified(known) if len(known) == len(schemas) else None

    def count(self) -> int | None:
        return _sum(part.count() for part in self.parts)


@dataclass(frozen=True, eq=False)
class Zip(_Derives):
    """Rows of several side by side."""

    parts: tuple[PlanNode, ...]

    @property
    def inputs(self) -> tuple[PlanNode, ...]:
        return self.parts

    def _derived(self) -> pa.Schema | None:
        schemas = [part.schema() for part in self.parts]
        if any(schema is None for schema in schemas):
            return None
        names = zipped_names([schema.names for schema in schemas])  # type: ignore[union-attr]
        types = [kind for schema in schemas for kind in schema.types]  # type: ignore[union-attr]
        return pa.schema(list(zip(names, types, strict=True)))

    def count(self) -> int | None:
        return self.parts[0].count()


@dataclass(frozen=True, eq=False)
class Join(_Derives):
    """Rows of two sides whose keys are equal."""

    left: PlanNode
    right: PlanNode
    left_on: tuple[str, ...]
    right_on: tuple[str, ...]
    how: str
    left_suffix: str | None
    right_suffix: str | None

    @property
    def inputs(self) -> tuple[PlanNode, ...]:
        return (self.left, self.right)

    @property
    def label(self) -> str:
        return f"Join({self.how})"

    def _derived(self) -> pa.Schema | None:
        left, right = self.left.schema(), self.right.schema()
        if left is None or right is None:
            return None
        sides = (left.empty_table(), right.empty_table())
        return joined(*sides, self.left_on, self.right_on, self.how, self.left_suffix, self.right_suffix).schema


@dataclass(frozen=True, eq=False)
class Sort(_SameRows):
    """Rows in order of keys; nulls come last, NaN before them, and equal rows keep their order."""

    keys: tuple[str, ...]
    descending: tuple[bool, ...]
    boundaries: tuple[Any, ...] | None = None

    @property
    def label(self) -> str:
        return f"Sort({', '.join(self.keys)})"

    def count(self) -> int | None:
        return self.input.count()


@dataclass(frozen=True, eq=False)
class Shuffle(_SameRows):
    """Rows in random order; without a seed each execution has another one."""

    seed: Seed
    blocks: int | None

    @property
    def label(self) -> str:
        return "RandomShuffle"

    def count(self) -> int | None:
        return self.input.count()


@dataclass(frozen=True, eq=False)
class Repartition(_SameRows):
    """The same rows in other blocks: so many, or of so many rows each."""

    blocks: int | None
    rows: int | None
    keys: tuple[str, ...] = ()
    sort: bool = False

    def count(self) -> int | None:
        return self.input.count()


@dataclass(frozen=True, eq=False)
class RandomizeBlocks(_SameRows):
    """The same blocks in random order."""

    seed: Seed

    def count(self) -> int | None:
        return self.input.count()


@dataclass(frozen=True, eq=False)
class Aggregate(_Derives, _OneInput):
    """One row for each group of equal keys, in order of the keys; one row in all without keys."""

    keys: tuple[str, ...]
    aggregations: tuple[Aggregation, ...]
    first_seen: bool = False

    @property
    def label(self) -> str:
        return f"Aggregate({', '.join(self.keys)})" if self.keys else "Aggregate"

    def _derived(self) -> pa.Schema | None:
        known = self.input.schema()
        if known is None or any(aggregation.type_of(known) is None for aggregation in self.aggregations):
            return None
        fields = [(key, known.field(key).type) for key in self.keys]
        return pa.schema(fields + [(a.name, a.type_of(known)) for a in self.aggregations])


@dataclass(frozen=True, eq=False)
class MapGroups(_OneInput):
    """A function of all rows of a group, for each group of equal keys."""

    keys: tuple[str, ...]
    function: UserFunction
    batch_format: str | None
    writable: bool
    resources: Resources

    @property
    def label(self) -> str:
        return self.function.stage


@dataclass(frozen=True, eq=False)
class Write(_OneInput):
    """The rows written to a sink; its own rows say what was written."""

    sink: RowSink
    least_rows: int | None = None
    resources: Resources | None = None

    @property
    def label(self) -> str:
        return self.sink.name


def zipped_names(names: Sequence[Sequence[str]]) -> list[str]:
    """Names for columns side by side: one that is there already gets ``_1``, ``_2`` behind it."""
    found: list[str] = []
    taken: set[str] = set()
    for part in names:
        for name in part:
            unique, number = name, 0
            while unique in taken:
                number += 1
                unique = f"{name}_{number}"
            taken.add(unique)
            found.append(unique)
    return found


def _sum(counts: Any) -> int | None:
    found = list(counts)
    return None if any(count is None for count in found) else sum(found)
