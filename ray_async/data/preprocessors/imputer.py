"""Imputers: nulls filled."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc

from ray_async.data.aggregate.functions import Mean
from ray_async.data.preprocessors.categories import counted
from ray_async.data.preprocessors.columnwise import ColumnPreprocessor, floats

if TYPE_CHECKING:
    from ray_async.data.dataset.dataset import Dataset

__all__ = ("SimpleImputer",)


class SimpleImputer(ColumnPreprocessor):
    """Nulls, and NaN, filled with a value for each column.

    Args:
        columns: the columns; with the strategy "constant", one that is not there is made.
        strategy: "mean", "most_frequent" (of several the one that came first), or "constant".
        fill_value: the value, for "constant".
        output_columns: their new names; the same by default.

    Raises:
        ValueError: An unknown strategy, or a constant without a value. When transforming: a column that had no value
            to learn from.

    Example:
        >>> SimpleImputer(["x"]).fit_transform(ray.data.from_items([{"x": 1.0}, {"x": None}, {"x": 3.0}])).take(2)
        [{'x': 1.0}, {'x': 2.0}]
    """

    def __init__(
        self,
        columns: Sequence[str],
        strategy: str = "mean",
        fill_value: str | float | None = None,
        *,
        output_columns: Sequence[str] | None = None,
    ) -> None:
        super().__init__(columns, output_columns)
        known = ["mean", "most_frequent", "constant"]
        if strategy not in known:
            raise ValueError(f"Strategy {strategy} is not supported. Supported values are: {known}")
        if strategy == "constant" and fill_value is None:
            raise ValueError('`fill_value` must be set when using "constant" strategy.')
        self.strategy = strategy
        self.fill_value = fill_value
        self._is_fittable = strategy != "constant"

    def _fit(self, ds: Dataset) -> None:
        if self.strategy == "mean":
            found = ds.aggregate(*[Mean(name) for name in self.columns])
            self.stats_ = found if found is not None else {f"mean({name})": None for name in self.columns}
            return
        counts = counted(ds, self.columns, flatten=False, keep_nulls=True)
        self.stats_ = {
            f"most_frequent({name})": max(values, key=values.__getitem__, default=None)
            for name, values in counts.items()
        }

    def _transform_table(self, table: pa.Table) -> pa.Table:
        if self.strategy == "constant":
            for name in self.columns:
                if name not in table.column_names:
                    table = table.append_column(name, pa.nulls(table.num_rows))
        return super()._transform_table(table)

    def _changed(self, name: str, column: pa.ChunkedArray) -> pa.ChunkedArray:
        value: Any = self.fill_value if self.strategy == "constant" else self.stats_[f"{self.strategy}({name})"]
        if value is None:
            raise ValueError(f"Column {name!r} has no fill value. Check the data used to fit the SimpleImputer.")
        if self.strategy == "mean":
            column = floats(name, column)
        elif pa.types.is_null(column.type) or (isinstance(value, float) and pa.types.is_integer(column.type)):
            column = column.cast(pa.scalar(value).type)
        if pa.types.is_floating(column.type):
            column = pc.if_else(pc.is_nan(column), pa.scalar(None, column.type), column)
        return pc.fill_null(column, pa.scalar(value, column.type))
