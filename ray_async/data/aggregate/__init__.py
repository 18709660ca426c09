"""Aggregations: what is computed of the rows of a group, for `Dataset.aggregate` and `GroupedData.aggregate`.

`functions` are those with a name; `custom` are the bases of users' own. `grouping` runs them on a table.
"""

from __future__ import annotations

from ray_async.data.aggregate.approximate import ApproximateQuantile, ApproximateTopK
from ray_async.data.aggregate.custom import AggregateFn, AggregateFnV2, VectorizedAggregateFnV2
from ray_async.data.aggregate.functions import (
    AbsMax,
    Aggregation,
    AsList,
    Count,
    CountDistinct,
    Max,
    Mean,
    Min,
    MissingValuePercentage,
    Quantile,
    Std,
    Sum,
    Unique,
    ValueCounter,
    ZeroPercentage,
)

__all__ = (
    "AbsMax",
    "AggregateFn",
    "AggregateFnV2",
    "Aggregation",
    "ApproximateQuantile",
    "ApproximateTopK",
    "AsList",
    "Count",
    "CountDistinct",
    "Max",
    "Mean",
    "Min",
    "MissingValuePercentage",
    "Quantile",
    "Std",
    "Sum",
    "Unique",
    "ValueCounter",
    "VectorizedAggregateFnV2",
    "ZeroPercentage",
)
