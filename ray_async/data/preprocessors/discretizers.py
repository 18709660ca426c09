"""Discretizers: numbers as the numbers of the bins that they lie in, by `pandas.cut`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ray_async.data.aggregate.functions import Max, Min
from ray_async.data.plan.columns import check_columns
from ray_async.data.preprocessor import Preprocessor, check_outputs

if TYPE_CHECKING:
    from ray_async.data.dataset.dataset import Dataset

__all__ = ("CustomKBinsDiscretizer", "UniformKBinsDiscretizer")


class _Discretizer(Preprocessor):
    _keeps_form = True

    def __init__(
        self,
        columns: Sequence[str],
        bins: Any,
        *,
        right: bool = True,
        include_lowest: bool = False,
        duplicates: str = "raise",
        dtypes: Mapping[str, Any] | None = None,
        output_columns: Sequence[str] | None = None,
    ) -> None:
        self.columns = list(columns)
        self.bins = bins
        self.right = right
        self.include_lowest = include_lowest
        self.duplicates = duplicates
        self.dtypes = None if dtypes is None else dict(dtypes)
        self.output_columns = check_outputs(columns, output_columns)
        if isinstance(bins, Mapping):
            missing = sorted(set(columns) - set(bins))
            if missing:
                raise ValueError(f"bins has none for column {missing[0]!r}")

    def _edges(self, name: str) -> Any:
        raise NotImplementedError

    def _transform_pandas(self, frame: Any) -> Any:
        import pandas as pd

        check_columns(self.columns, list(frame.columns))
        made = {}
        for name, output in zip(self.columns, self.output_columns, strict=True):
            dtype: Any = (self.dtypes or {}).get(name)
            categories = isinstance(dtype, pd.CategoricalDtype)
            values = frame[name].to_numpy(dtype=float, na_value=np.nan)
            found = pd.cut(
                pd.Series(values, index=frame.index),
                self._edges(name),
                right=self.right,
                labels=list(dtype.categories) if categories else False,
                ordered=bool(dtype.ordered) if categories else True,
                include_lowest=self.include_lowest,
                duplicates=self.duplicates,
            )
            made[output] = found if dtype is None or categories else found.astype(dtype)
        for output, found in made.items():
            frame[output] = found
        return frame


def _even_edges(low: float, high: float, count: int, *, right: bool) -> np.ndarray[Any, Any]:
    """The borders that `pandas.cut` gives so many bins: the open one moves out, so that its value lies inside."""
    if low == high:
        margin = 0.001 * abs(low) or 0.001
        return np.linspace(low - margin, high + margin, count + 1)
    edges = np.linspace(low, high, count + 1)
    edges[0 if right else -1] += (high - low) * (-0.001 if right else 0.001)
    return edges


class CustomKBinsDiscretizer(_Discretizer):
    """Numbers as the numbers of bins whose borders are given; outside of them there is none.

    Args:
        columns: columns of numbers.
        bins: the borders, a `pandas.IntervalIndex`, or one of these for each column.
        right: whether a bin has its right border in it, else its left one.
        include_lowest: whether the first bin has its left border in it.
        duplicates: "raise", or "drop" for borders that are given twice.
        dtypes: for some columns, the dtype of the result; a `pandas.CategoricalDtype` names the bins.
        output_columns: their new names; the same by default.

    Example:
        >>> CustomKBinsDiscretizer(["x"], bins=[0, 10, 100]).transform_batch(pd.DataFrame({"x": [5, 50]}))
    """

    _is_fittable = False

    def __init__(
        self,
        columns: Sequence[str],
        bins: Iterable[float] | Mapping[str, Iterable[float]],
        *,
        right: bool = True,
        include_lowest: bool = False,
        duplicates: str = "raise",
        dtypes: Mapping[str, Any] | None = None,
        output_columns: Sequence[str] | None = None,
    ) -> None:
        super().__init__(
            columns,
            bins,
            right=right,
            include_lowest=include_lowest,
            duplicates=duplicates,
            dtypes=dtypes,
            output_columns=output_columns,
        )

    def _edges(self, name: str) -> Any:
        return self.bins[name] if isinstance(self.bins, Mapping) else self.bins


class UniformKBinsDiscretizer(_Discretizer):
    """Numbers as the numbers of so many bins of equal width, from the smallest number to the largest when fitting.

    Args:
        columns: columns of numbers.
        bins: how many, for all columns or for each.
        right: whether a bin has its right border in it, else its left one.
        include_lowest: whether the first bin has its left border in it.
        duplicates: "raise", or "drop" for borders that are the same.
        dtypes: for some columns, the dtype of the result; a `pandas.CategoricalDtype` names the bins.
        output_columns: their new names; the same by default.

    Raises:
        TypeError: A number of bins is none.
    """

    def __init__(
        self,
        columns: Sequence[str],
        bins: int | Mapping[str, int],
        *,
        right: bool = True,
        include_lowest: bool = False,
        duplicates: str = "raise",
        dtypes: Mapping[str, Any] | None = None,
        output_columns: Sequence[str] | None = None,
    ) -> None:
        super().__init__(
            columns,
            bins,
            right=right,
            include_lowest=include_lowest,
            duplicates=duplicates,
            dtypes=dtypes,
            output_columns=output_columns,
        )
        for number in bins.values() if isinstance(bins, Mapping) else [bins]:
            if int(number) != number or number < 1:
                raise TypeError(f"`bins` must be positive whole numbers, but has {number!r}")

    def _fit(self, ds: Dataset) -> None:
        found = ds.aggregate(*[kind(name) for name in self.columns for kind in (Min, Max)]) or {}
        self.stats_ = {}
        for name in self.columns:
            low, high = found.get(f"min({name})"), found.get(f"max({name})")
            if low is None or high is None:
                raise ValueError(f"column {name!r} has no number to learn bins from")
            count = self.bins[name] if isinstance(self.bins, Mapping) else self.bins
            self.stats_[name] = _even_edges(float(low), float(high), count, right=self.right)

    def _edges(self, name: str) -> Any:
        return self.stats_[name]
