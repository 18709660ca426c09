"""Quantiles and most frequent values under the names of approximations; the answers here are exact."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from ray_async.data.aggregate.functions import Aggregation, hashable
from ray_async.data.block.columns import python_of

__all__ = ("ApproximateQuantile", "ApproximateTopK")


class ApproximateQuantile(Aggregation):
    """Quantiles of a column's numbers, as a list; each is one of the numbers.

    Args:
        on: the column.
        quantiles: each from 0 to 1.
        quantile_precision: accepted.

    Raises:
        ValueError: No quantile, or one that is not from 0 to 1.
    """

    def __init__(
        self, on: str, quantiles: Sequence[float], quantile_precision: int = 800, alias_name: str | None = None
    ) -> None:
        super().__init__(alias_name or f"approx_quantile({on})", on=on, ignore_nulls=True)
        if not quantiles or not all(0 <= quantile <= 1 for quantile in quantiles):
            raise ValueError(f"quantiles must be numbers from 0 to 1, but are {list(quantiles)}")
        self.quantiles = list(quantiles)

    def of_group(self, group: pa.Table) -> Any:
        numbers = self._number_column(group, "quantile").drop_null()
        if not len(numbers):
            return [None] * len(self.quantiles)
        found = np.quantile(numbers.cast(pa.float64()).to_numpy(), self.quantiles, method="inverted_cdf")
        return found.tolist()


class ApproximateTopK(Aggregation):
    """The most frequent values of a column with their counts, as a list of dicts; of equal ones the first seen.

    Args:
        on: the column.
        k: how many.
        log_capacity: accepted.
        encode_lists: whether the items of lists count, and not the lists.

    Raises:
        ValueError: ``k`` is not positive.
    """

    def __init__(
        self, on: str, k: int, log_capacity: int = 15, alias_name: str | None = None, encode_lists: bool = False
    ) -> None:
        super().__init__(alias_name or f"approx_topk({on})", on=on, ignore_nulls=True)
        if k < 1:
            raise ValueError(f"k must be positive, but is {k}")
        self.k = k
        self.encode_lists = encode_lists

    def of_group(self, group: pa.Table) -> Any:
        counts: dict[Any, list[Any]] = {}
        for value in python_of(group.column(self.on)):
            items = value if self.encode_lists and isinstance(value, list) else [value]
            for item in items:
                if item is not None:
                    counts.setdefault(hashable(item), [item, 0])[1] += 1
        ranked = sorted(counts.values(), key=lambda pair: -pair[1])
        return [{self.on: value, "count": count} for value, count in ranked[: self.k]]
