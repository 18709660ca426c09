"""Scalers: columns of numbers, shifted and stretched. Null stays null, NaN stays NaN; neither counts when fitting."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.compute as pc

from ray_async.data.aggregate.functions import AbsMax, Aggregation, Max, Mean, Min, Quantile, Std
from ray_async.data.preprocessors.columnwise import ColumnPreprocessor, floats

if TYPE_CHECKING:
    from ray_async.data.dataset.dataset import Dataset

__all__ = ("MaxAbsScaler", "MinMaxScaler", "RobustScaler", "StandardScaler")


class _Scaler(ColumnPreprocessor):
    """A scaler: less a centre, divided by a width; a width of zero divides by one."""

    stats_: dict[str, float | None]

    def _aggregations(self, name: str) -> list[Aggregation]:
        raise NotImplementedError

    def _centre(self, name: str) -> float | None:
        raise NotImplementedError

    def _width(self, name: str) -> float | None:
        raise NotImplementedError

    def _fit(self, ds: Dataset) -> None:
        wanted = [aggregation for name in self.columns for aggregation in self._aggregations(name)]
        found = ds.aggregate(*wanted)
        self.stats_ = found if found is not None else {aggregation.name: None for aggregation in wanted}

    def _changed(self, name: str, column: pa.ChunkedArray) -> pa.ChunkedArray:
        centre, width = self._centre(name), self._width(name)
        numbers = floats(name, column)
        if centre is None or width is None:  # there was no number to learn from
            return pa.chunked_array([pa.nulls(len(column), pa.float64())])
        return pc.divide(pc.subtract(numbers, float(centre)), float(width) or 1.0)


class StandardScaler(_Scaler):
    """Columns with mean 0 and standard deviation 1 (of the whole population, ``ddof=0``).

    Args:
        columns: columns of numbers.
        output_columns: their new names; the same by default.

    Example:
        >>> StandardScaler(["x"]).fit_transform(ray.data.from_items([{"x": 1.0}, {"x": 3.0}])).take_all()
        [{'x': -1.0}, {'x': 1.0}]
    """

    def _aggregations(self, name: str) -> list[Aggregation]:
        return [Mean(name), Std(name, ddof=0)]

    def _centre(self, name: str) -> float | None:
        return self.stats_[f"mean({name})"]

    def _width(self, name: str) -> float | None:
        return self.stats_[f"std({name})"]


class MinMaxScaler(_Scaler):
    """Columns from 0 to 1.

    Args:
        columns: columns of numbers.
        output_columns: their new names; the same by default.
    """

    def _aggregations(self, name: str) -> list[Aggregation]:
        return [Min(name), Max(name)]

    def _centre(self, name: str) -> float | None:
        return self.stats_[f"min({name})"]

    def _width(self, name: str) -> float | None:
        low, high = self.stats_[f"min({name})"], self.stats_[f"max({name})"]
        return None if low is None or high is None else float(high) - float(low)


class MaxAbsScaler(_Scaler):
    """Columns divided by their largest absolute value.

    Args:
        columns: columns of numbers.
        output_columns: their new names; the same by default.
    """

    def _aggregations(self, name: str) -> list[Aggregation]:
        return [AbsMax(name)]

    def _centre(self, name: str) -> float | None:
        return 0.0

    def _width(self, name: str) -> float | None:
        return self.stats_[f"abs_max({name})"]


class RobustScaler(_Scaler):
    """Columns less their median, divided by the distance of two quantiles, which outliers do not move.

    Args:
        columns: columns of numbers.
        quantile_range: the two quantiles, from 0 to 1; they are exact.
        output_columns: their new names; the same by default.
        quantile_precision: accepted.

    Raises:
        ValueError: The quantiles are not in order between 0 and 1.
    """

    def __init__(
        self,
        columns: Sequence[str],
        quantile_range: tuple[float, float] = (0.25, 0.75),
        output_columns: Sequence[str] | None = None,
        quantile_precision: int = 800,
    ) -> None:
        super().__init__(columns, output_columns)
        low, high = quantile_range
        if not 0 <= low <= high <= 1:
            raise ValueError(f"quantile_range must be two numbers in order from 0 to 1, but is {quantile_range}")
        self.quantile_range = (low, high)
        self.quantile_precision = quantile_precision

    def _aggregations(self, name: str) -> list[Aggregation]:
        low, high = self.quantile_range
        parts = (("low_quantile", low), ("median", 0.5), ("high_quantile", high))
        return [Quantile(name, q, alias_name=f"{word}({name})") for word, q in parts]

    def _centre(self, name: str) -> float | None:
        return self.stats_[f"median({name})"]

    def _width(self, name: str) -> float | None:
        low, high = self.stats_[f"low_quantile({name})"], self.stats_[f"high_quantile({name})"]
        return None if low is None or high is None else float(high) - float(low)
