"""Transformations of columns: chosen, dropped, renamed, computed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from ray_async.data.compute import Resources
from ray_async.data.dataset.base import DatasetBase
from ray_async.data.dataset.functions import ComputeArgument
from ray_async.data.expressions.expr import Expr
from ray_async.data.expressions.reshape import AddColumns, DropColumns, RenameColumns, Reshape, SelectColumns
from ray_async.data.expressions.several import expanded
from ray_async.data.plan import nodes

if TYPE_CHECKING:
    from ray_async.data.dataset.dataset import Dataset

__all__ = ("Columns",)


class Columns(DatasetBase):
    """Methods of columns. An unknown column is an `UnknownColumnError`, at once where the columns are known."""

    def select_columns(self, cols: str | Sequence[str]) -> Dataset:
        """Keep these columns, in this order; sources read no others.

        Raises:
            ValueError: A name is there twice, or is no text.
            TypeError: Neither a name nor a list of names.
        """
        return self._reshaped(SelectColumns(tuple(_names(cols, "select_columns"))))

    def drop_columns(self, cols: str | Sequence[str]) -> Dataset:
        """Leave these columns out.

        Raises:
            ValueError: A name is there twice.
        """
        return self._reshaped(DropColumns(tuple(_names(cols, "drop_columns"))))

    def rename_columns(self, names: Mapping[str, str] | Sequence[str]) -> Dataset:
        """Give columns other names.

        Args:
            names: old names to new ones, or a list with a name for each column.

        Raises:
            ValueError: Nothing is given, two columns would have the same name, or the list is of another length.
            TypeError: Neither a dict nor a list.
        """
        if isinstance(names, Mapping):
            _check_renames(list(names.values()), list(names))
            return self._reshaped(RenameColumns(tuple(names.items())))
        if isinstance(names, (list, tuple)):
            _check_renames(list(names), [])
            return self._reshaped(RenameColumns(names=tuple(names)))
        raise TypeError(f"rename_columns expects a dict or a list of texts, but got {type(names).__name__}")

    def with_column(
        self, column_name: str, expr: Expr, *, compute: ComputeArgument = None, **ray_remote_args: Any
    ) -> Dataset:
        """Add a column that an expression computes, or replace the one of that name.

        Args:
            column_name: its name.
            expr: the expression.
            compute: where it runs; by default in tasks.
            ray_remote_args: options of the tasks or actors, such as ``num_cpus``.

        Raises:
            TypeError: It is no expression.

        Example:
            >>> ds.with_column("total", col("price") * col("count"))
        """
        return self.with_columns({column_name: expr}, compute=compute, **ray_remote_args)

    def with_columns(
        self, *exprs: Mapping[str, Expr] | Expr, compute: ComputeArgument = None, **ray_remote_args: Any
    ) -> Dataset:
        """Add or replace columns, each computed of the columns as they were.

        Args:
            exprs: names to expressions, and expressions that have a name or stand for several columns, such as
                ``col("x").alias("y")`` and `unnest`.
            compute: where they run; by default in tasks.
            ray_remote_args: options of the tasks or actors.

        Raises:
            ValueError: Nothing is given, or something without a name.
            TypeError: One is no expression.
        """
        given: list[tuple[str | None, Expr]] = []
        for part in exprs:
            given += part.items() if isinstance(part, Mapping) else [(None, part)]
        if not given:
            raise ValueError("with_columns() needs at least one column")
        for name, expr in given:
            if not isinstance(expr, Expr):
                raise TypeError(f"column {name!r} needs an expression, made by col() or lit(), but got {expr!r}")
        new = expanded(given, self._known.schema or self._node.schema())
        options = {name: value for name, value in ray_remote_args.items() if value is not None}
        resources = Resources(compute, options) if compute is not None or options else None
        return self._reshaped(AddColumns(tuple(new)), resources)

    def _reshaped(self, reshape: Reshape, resources: Resources | None = None) -> Dataset:
        columns = self._columns()
        node = nodes.Project(self._node, reshape, resources)
        if columns is not None:
            reshape.exprs(columns)  # refuses names that are not there
            node.schema()  # and types that do not fit
        return self._with(node)


def _names(given: str | Sequence[str], method: str) -> list[str]:
    if isinstance(given, str):
        return [given]
    if not isinstance(given, (list, tuple)):
        raise TypeError(f"{method} expects the name of a column or a list of names, but got {type(given).__name__}")
    for name in given:
        if not isinstance(name, str):
            raise ValueError(f"{method} expects all names to be texts, but got {name!r}")
    if len(set(given)) < len(given):
        raise ValueError(f"{method} expects unique column names, got: {list(given)}")
    return list(given)


def _check_renames(new: list[str], old: list[str]) -> None:
    if not new:
        raise ValueError("rename_columns received 'names' with no entries.")
    for name in new + old:
        if not isinstance(name, str):
            raise ValueError(f"rename_columns expects all names to be texts, but got {name!r}")
    if len(set(new)) < len(new):
        raise ValueError(f"rename_columns received duplicate values in the 'names' parameter: {new}")
