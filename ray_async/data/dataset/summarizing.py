"""Summaries: statistics of all columns at once."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from ray_async.data.aggregate.approximate import ApproximateQuantile, ApproximateTopK
from ray_async.data.aggregate.functions import (
    Aggregation,
    Count,
    Max,
    Mean,
    Min,
    MissingValuePercentage,
    Std,
    ZeroPercentage,
)
from ray_async.data.dataset.aggregating import Aggregating
from ray_async.data.datatype import DataType
from ray_async.data.plan.columns import check_columns

if TYPE_CHECKING:
    import pandas as pd

__all__ = ("DatasetSummary", "Summarizing")


class DatasetSummary:
    """Statistics of a dataset's columns.

    Args:
        schema: the dataset's.
        statistics: for each column the values by the statistics' names.
    """

    def __init__(self, schema: pa.Schema, statistics: Mapping[str, Mapping[str, Any]]) -> None:
        self.dataset_schema = schema
        self.columns = list(statistics)
        self._statistics = statistics

    def to_pandas(self) -> pd.DataFrame:
        """A row for each statistic, named in a column ``statistic``, and a column for each of the dataset's."""
        import pandas as pd

        names = sorted({name for values in self._statistics.values() for name in values})
        columns = {column: [values.get(name) for name in names] for column, values in self._statistics.items()}
        return pd.DataFrame({"statistic": names, **{name: pd.Series(c, dtype=object) for name, c in columns.items()}})

    def get_column_stats(self, column: str) -> pd.DataFrame:
        """The statistics of one column: ``statistic`` and ``value``.

        Raises:
            UnknownColumnError: It was not summarized.
        """
        import pandas as pd

        check_columns([column], self.columns)
        values = self._statistics[column]
        return pd.DataFrame({"statistic": list(values), "value": pd.Series(list(values.values()), dtype=object)})

    def __repr__(self) -> str:
        return f"DatasetSummary({', '.join(self.columns)})"


class Summarizing(Aggregating):
    """The method that summarizes."""

    def summary(
        self,
        columns: Sequence[str] | None = None,
        override_dtype_agg_mapping: Mapping[DataType, Callable[[str], Sequence[Aggregation]]] | None = None,
    ) -> DatasetSummary:
        """Statistics of columns, in one pass: of numbers count, mean, min, max, std, median and the shares of missing
        values and zeros in per cent; of times count, min, max and missing; of others count, missing and the ten most
        frequent values.

        Args:
            columns: the columns; None: all.
            override_dtype_agg_mapping: types with functions from a column's name to its aggregations instead.

        Raises:
            UnknownColumnError: There is no such column.
            ValueError: There is no column at all.
        """
        schema = self.schema()
        if schema is None:
            raise ValueError("a dataset without columns has no summary")
        names = list(columns) if columns is not None else schema.names
        check_columns(names, schema.names)
        own = {kind.to_arrow_dtype(): make for kind, make in (override_dtype_agg_mapping or {}).items()}
        chosen = {
            name: list(own.get(kind, _aggregations_of(kind))(name))
            for name, kind in zip(schema.names, schema.types, strict=True)
            if name in names
        }
        row = self._aggregate_row([each for aggregations in chosen.values() for each in aggregations]) or {}
        found = {name: _statistics(aggregations, row) for name, aggregations in chosen.items()}
        return DatasetSummary(schema.base_schema, {name: found[name] for name in names})


def _statistics(aggregations: Sequence[Aggregation], row: Mapping[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for aggregation in aggregations:
        value, name = row.get(aggregation.name), aggregation.name.partition("(")[0]
        if isinstance(value, list):
            found.update({f"{name}[{index}]": item for index, item in enumerate(value)})
        else:
            found[name] = value
    return found


def _aggregations_of(kind: pa.DataType) -> Callable[[str], Sequence[Aggregation]]:
    types = pa.types
    if types.is_integer(kind) or types.is_floating(kind) or types.is_decimal(kind) or types.is_boolean(kind):
        return _of_numbers
    return _of_times if types.is_temporal(kind) else _of_others


def _of_numbers(name: str) -> list[Aggregation]:
    return [
        Count(name),
        Mean(name),
        Min(name),
        Max(name),
        Std(name, ddof=0),
        ApproximateQuantile(name, [0.5]),
        MissingValuePercentage(name),
        ZeroPercentage(name),
    ]


def _of_times(name: str) -> list[Aggregation]:
    return [Count(name), Min(name), Max(name), MissingValuePercentage(name)]


def _of_others(name: str) -> list[Aggregation]:
    return [Count(name), MissingValuePercentage(name), ApproximateTopK(name, 10)]
