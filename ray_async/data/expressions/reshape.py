"""Reshapes: changes of columns (drop, rename, add) as expressions, once the columns are known."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from ray_async.data.expressions.expr import Expr, col
from ray_async.data.plan.columns import check_columns

__all__ = ("AddColumns", "DropColumns", "RenameColumns", "Reshape", "SelectColumns")


class Reshape:
    """A change of columns."""

    #: The method that asked for it.
    what = "Project"

    @property
    def computed(self) -> tuple[Expr, ...]:
        """Expressions that are more than a column."""
        return ()

    def seeded(self, seed: Callable[[Expr], Expr]) -> Reshape:
        """The same with the seeds of one execution."""
        return self

    def exprs(self, columns: Sequence[str]) -> tuple[tuple[str, Expr], ...]:
        """The new columns.

        Raises:
            UnknownColumnError: It names a column that is not there.
        """
        raise NotImplementedError


@dataclass(frozen=True)
class SelectColumns(Reshape):
    """These columns in this order."""

    names: tuple[str, ...]
    what = "SelectColumns"

    def exprs(self, columns: Sequence[str]) -> tuple[tuple[str, Expr], ...]:
        check_columns(self.names, columns)
        return tuple((name, col(name)) for name in self.names)


@dataclass(frozen=True)
class DropColumns(Reshape):
    """All columns but these."""

    names: tuple[str, ...]
    what = "DropColumns"

    def exprs(self, columns: Sequence[str]) -> tuple[tuple[str, Expr], ...]:
        check_columns(self.names, columns)
        return tuple((name, col(name)) for name in columns if name not in self.names)


@dataclass(frozen=True)
class RenameColumns(Reshape):
    """Columns under other names: pairs of old and new, or a name for each column."""

    pairs: tuple[tuple[str, str], ...] = ()
    names: tuple[str, ...] | None = None
    what = "RenameColumns"

    def exprs(self, columns: Sequence[str]) -> tuple[tuple[str, Expr], ...]:
        if self.names is not None:
            if len(self.names) != len(columns):
                raise ValueError(f"rename_columns() got {len(self.names)} names for {len(columns)} columns")
            return tuple((new, col(old)) for old, new in zip(columns, self.names, strict=True))
        new = dict(self.pairs)
        check_columns(new, columns)
        found = tuple((new.get(name, name), col(name)) for name in columns)
        names = [name for name, _ in found]
        if len(set(names)) < len(names):
            twice = sorted({name for name in names if names.count(name) > 1})
            raise ValueError(f"rename_columns() would give two columns the name {', '.join(map(repr, twice))}")
        return found


@dataclass(frozen=True)
class AddColumns(Reshape):
    """All columns, and computed ones, which replace those of the same name."""

    new: tuple[tuple[str, Expr], ...]
    what = "WithColumns"

    @property
    def computed(self) -> tuple[Expr, ...]:
        return tuple(expr for _, expr in self.new)

    def seeded(self, seed: Callable[[Expr], Expr]) -> AddColumns:
        return AddColumns(tuple((name, seed(expr)) for name, expr in self.new))

    def exprs(self, columns: Sequence[str]) -> tuple[tuple[str, Expr], ...]:
        for _, expr in self.new:
            check_columns(sorted(expr.columns()), columns)
        new = dict(self.new)
        kept = tuple((name, new.get(name, col(name))) for name in columns)
        return kept + tuple((name, expr) for name, expr in self.new if name not in columns)
