"""Grouped data: what `Dataset.groupby` gives, to aggregate or to map."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from ray_async.data.aggregate.functions import Aggregation, Count, Max, Mean, Min, Std, Sum
from ray_async.data.block.batches import check_batch_format
from ray_async.data.dataset.functions import ComputeArgument, user_function
from ray_async.data.expressions.evaluation import projected
from ray_async.data.expressions.expr import Expr
from ray_async.data.expressions.reshape import AddColumns
from ray_async.data.plan import nodes
from ray_async.data.plan.columns import check_columns

if TYPE_CHECKING:
    from ray_async.data.dataset.consuming import Consuming
    from ray_async.data.dataset.dataset import Dataset

__all__ = ("GroupedData",)


class GroupedData:
    """Rows of a dataset grouped by keys; made by `Dataset.groupby`.

    Results have a row for each group, in the order of the keys, nulls last.
    """

    def __init__(self, dataset: Consuming, keys: tuple[str, ...]) -> None:
        self._dataset = dataset
        self._keys = keys

    def __repr__(self) -> str:
        return f"GroupedData(dataset={self._dataset!r}, key={list(self._keys)!r})"

    def aggregate(self, *aggs: Aggregation) -> Dataset:
        """Aggregate each group.

        Args:
            aggs: aggregations of `ray_async.data.aggregate`; each makes a column of its name.

        Raises:
            UnknownColumnError: One reads a column that is not there.
            ValueError: None is given, or two have the same name.
        """
        if not aggs:
            raise ValueError("Aggregate requires at least one aggregation")
        names = [*self._keys, *(aggregation.name for aggregation in aggs)]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ValueError(f"two columns of the result would be named {', '.join(map(repr, twice))}: use alias_name")
        targets = [target for target in (aggregation.get_target_column() for aggregation in aggs) if target is not None]
        check_columns(targets, self._dataset._columns())
        return self._dataset._with(nodes.Aggregate(self._dataset._node, self._keys, aggs))

    def count(self) -> Dataset:
        """The number of rows of each group, in a column ``count()``."""
        return self.aggregate(Count())

    def sum(self, on: str | Sequence[str] | None = None, ignore_nulls: bool = True) -> Dataset:
        """Sums, in columns ``sum(<column>)``; of all columns but the keys by default."""
        return self.aggregate(*(Sum(name, ignore_nulls) for name in self._targets(on)))

    def min(self, on: str | Sequence[str] | None = None, ignore_nulls: bool = True) -> Dataset:
        """Smallest values, in columns ``min(<column>)``."""
        return self.aggregate(*(Min(name, ignore_nulls) for name in self._targets(on)))

    def max(self, on: str | Sequence[str] | None = None, ignore_nulls: bool = True) -> Dataset:
        """Largest values, in columns ``max(<column>)``."""
        return self.aggregate(*(Max(name, ignore_nulls) for name in self._targets(on)))

    def mean(self, on: str | Sequence[str] | None = None, ignore_nulls: bool = True) -> Dataset:
        """Means, in columns ``mean(<column>)``."""
        return self.aggregate(*(Mean(name, ignore_nulls) for name in self._targets(on)))

    def std(self, on: str | Sequence[str] | None = None, ddof: int = 1, ignore_nulls: bool = True) -> Dataset:
        """Standard deviations, in columns ``std(<column>)``."""
        return self.aggregate(*(Std(name, ddof, ignore_nulls) for name in self._targets(on)))

    def _targets(self, on: str | Sequence[str] | None) -> list[str]:
        if isinstance(on, str):
            return [on]
        if on is not None:
            return list(on)
        columns = self._dataset._schema_names()
        found = [name for name in columns if name not in self._keys]
        if not found:
            raise ValueError("there is no column to aggregate besides the keys")
        return found

    def map_groups(
        self,
        fn: Any,
        *,
        zero_copy_batch: bool = True,
        compute: ComputeArgument = None,
        batch_format: str | None = "default",
        fn_args: Iterable[Any] | None = None,
        fn_kwargs: Mapping[str, Any] | None = None,
        fn_constructor_args: Iterable[Any] | None = None,
        fn_constructor_kwargs: Mapping[str, Any] | None = None,
        concurrency: int | tuple[int, ...] | None = None,
        ray_remote_args_fn: Callable[[], Mapping[str, Any]] | None = None,
        **options: Any,
    ) -> Dataset:
        """Call a function once with each group, whole; groups come in the order of the keys.

        Args:
            fn: from a batch to a batch, or an iterator of batches.
            batch_format: as for `Dataset.map_batches`, but "default" is "pandas".

        Example:
            >>> ds.groupby("user").map_groups(lambda group: group.nlargest(3, "score"))
        """
        function, resources = user_function(
            fn,
            "MapGroups",
            compute=compute,
            fn_args=fn_args,
            fn_kwargs=fn_kwargs,
            fn_constructor_args=fn_constructor_args,
            fn_constructor_kwargs=fn_constructor_kwargs,
            concurrency=concurrency,
            options_function=ray_remote_args_fn,
            options=options,
        )
        known = "pandas" if batch_format == "default" else check_batch_format(batch_format)
        node = nodes.MapGroups(self._dataset._node, self._keys, function, known, not zero_copy_batch, resources)
        return self._dataset._with(node)

    def with_column(self, column_name: str, expr: Expr) -> Dataset:
        """All rows in the order of the keys, with a column that an expression computes of each group.

        Row numbers begin anew in each group.

        Args:
            column_name: its name.
            expr: the expression.

        Raises:
            TypeError: It is no expression.

        Example:
            >>> ds.groupby("user").with_column("visit", monotonically_increasing_id())
        """
        if not isinstance(expr, Expr):
            raise TypeError(f"column {column_name!r} needs an expression, made by col() or lit(), but got {expr!r}")
        check_columns(sorted(expr.columns()), self._dataset._columns())
        return self.map_groups(_WithColumn(column_name, expr), batch_format="pyarrow")


class _WithColumn:
    """A function of groups that adds a column."""

    def __init__(self, name: str, expr: Expr) -> None:
        self._reshape = AddColumns(((name, expr),))
        self.__name__ = "with_column"

    def __call__(self, group: pa.Table) -> pa.Table:
        return projected(group, self._reshape.exprs(group.column_names))
