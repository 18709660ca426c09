"""Aggregations of a whole dataset."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from ray_async.data.aggregate.functions import Aggregation, Max, Mean, Min, Std, Sum, Unique
from ray_async.data.dataset.base import DatasetBase
from ray_async.data.dataset.consuming import Consuming
from ray_async.data.plan import nodes
from ray_async.data.plan.columns import check_columns

__all__ = ("Aggregating",)


class Aggregating(Consuming, DatasetBase):
    """Methods that aggregate all rows. Of no rows, and of nulls alone, they give None."""

    def aggregate(self, *aggs: Aggregation) -> dict[str, Any] | None:
        """Aggregate all rows.

        Args:
            aggs: aggregations of `ray_async.data.aggregate`.

        Returns:
            A value for each aggregation, under its name; None if there are no rows.

        Raises:
            UnknownColumnError: One reads a column that is not there.
        """
        from ray_async.data.aggregate.functions import Count

        count = Count(alias_name="\0rows")
        row = self._aggregate_row([*aggs, count])
        return None if row is None or not row.pop(count.name) else row

    def _aggregate_row(self, aggs: Sequence[Aggregation]) -> dict[str, Any] | None:
        targets = [target for target in (aggregation.get_target_column() for aggregation in aggs) if target is not None]
        check_columns(targets, self._columns())
        rows = self._with(nodes.Aggregate(self._node, (), tuple(aggs))).take_all()
        return rows[0] if rows else None

    def sum(self, on: str | Sequence[str] | None = None, ignore_nulls: bool = True) -> Any:
        """Sum of a column; of several, or all, a dict such as ``{"sum(a)": 3}``.

        Raises:
            TypeError: A column holds no numbers.
            OverflowError: A sum of integers does not fit into 64 bits.
        """
        return self._simple(on, lambda name: Sum(name, ignore_nulls))

    def min(self, on: str | Sequence[str] | None = None, ignore_nulls: bool = True) -> Any:
        """The smallest value; of several columns, or all, a dict."""
        return self._simple(on, lambda name: Min(name, ignore_nulls))

    def max(self, on: str | Sequence[str] | None = None, ignore_nulls: bool = True) -> Any:
        """The largest value; of several columns, or all, a dict."""
        return self._simple(on, lambda name: Max(name, ignore_nulls))

    def mean(self, on: str | Sequence[str] | None = None, ignore_nulls: bool = True) -> Any:
        """The mean; of several columns, or all, a dict."""
        return self._simple(on, lambda name: Mean(name, ignore_nulls))

    def std(self, on: str | Sequence[str] | None = None, ddof: int = 1, ignore_nulls: bool = True) -> Any:
        """The standard deviation; of several columns, or all, a dict."""
        return self._simple(on, lambda name: Std(name, ddof, ignore_nulls))

    def unique(self, column: str, ignore_nulls: bool = False) -> list[Any]:
        """The different values of a column, in order of first appearance.

        Raises:
            UnknownColumnError: There is no such column.
        """
        row = self._aggregate_row([Unique(column, ignore_nulls, alias_name="values")])
        return [] if row is None else list(row["values"])

    def _simple(self, on: str | Sequence[str] | None, make: Callable[[str], Aggregation]) -> Any:
        if isinstance(on, str):
            aggregation = make(on)
            row = self._aggregate_row([aggregation])
            return None if row is None else row[aggregation.name]
        names = list(on) if on is not None else self._schema_names()
        if not names:
            return None
        row = self._aggregate_row([make(name) for name in names])
        return None if row is None else row
