"""Encoders: categories as numbers and vectors. A value that was not there when fitting has no number: null, or zeros.

Nulls are errors, when fitting and when transforming: `SimpleImputer` fills them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ray_async.data.block.columns import python_of
from ray_async.data.block.tensors import tensor_column
from ray_async.data.plan.columns import check_columns
from ray_async.data.preprocessor import Preprocessor
from ray_async.data.preprocessors.categories import check_no_nulls, counted, indices_of, is_list, numbered
from ray_async.data.preprocessors.columnwise import ColumnPreprocessor, with_column

if TYPE_CHECKING:
    from ray_async.data.dataset.dataset import Dataset

__all__ = ("Categorizer", "LabelEncoder", "MultiHotEncoder", "OneHotEncoder", "OrdinalEncoder")


class _Encoder(ColumnPreprocessor):
    stats_: dict[str, dict[Any, int]]

    def _numbers(self, name: str) -> dict[Any, int]:
        return self.stats_[f"unique_values({name})"]


class OrdinalEncoder(_Encoder):
    """Categories as whole numbers, in the order of the categories; null for one that is not known.

    Args:
        columns: columns of categories.
        encode_lists: whether the items of lists are the categories; else whole lists are.
        output_columns: their new names; the same by default.

    Example:
        >>> OrdinalEncoder(["s"]).fit_transform(ray.data.from_items([{"s": "b"}, {"s": "a"}])).take_all()
        [{'s': 1}, {'s': 0}]
    """

    def __init__(
        self, columns: Sequence[str], *, encode_lists: bool = True, output_columns: Sequence[str] | None = None
    ) -> None:
        super().__init__(columns, output_columns)
        self.encode_lists = encode_lists

    def _fit(self, ds: Dataset) -> None:
        counts = counted(ds, self.columns, flatten=self.encode_lists)
        self.stats_ = {f"unique_values({name})": numbered(values) for name, values in counts.items()}

    def _changed(self, name: str, column: pa.ChunkedArray) -> pa.ChunkedArray:
        check_no_nulls(name, column)
        numbers = self._numbers(name)
        if not (self.encode_lists and is_list(column.type)):
            return indices_of(column, numbers)
        rows = [[numbers.get(item) for item in row] for row in python_of(column)]
        return pa.chunked_array([pa.array(rows, pa.list_(pa.int64()))])


class OneHotEncoder(_Encoder):
    """Categories as vectors with a one in the place of the category; zeros for one that is not known.

    Args:
        columns: columns of categories.
        max_categories: for some columns, how many of the most frequent categories have a place.
        output_columns: their new names; the same by default.

    Raises:
        ValueError: ``max_categories`` names a column that is not among ``columns``.
    """

    def __init__(
        self,
        columns: Sequence[str],
        *,
        max_categories: Mapping[str, int] | None = None,
        output_columns: Sequence[str] | None = None,
    ) -> None:
        super().__init__(columns, output_columns)
        self.max_categories = dict(max_categories or {})
        unknown = sorted(set(self.max_categories) - set(columns))
        if unknown:
            raise ValueError(
                f"max_categories names column {unknown[0]!r}, which is not among the columns {list(columns)}"
            )

    _of_lists = False

    def _fit(self, ds: Dataset) -> None:
        counts = counted(ds, self.columns, flatten=self._of_lists)
        self.stats_ = {
            f"unique_values({name})": numbered(values, self.max_categories.get(name)) for name, values in counts.items()
        }

    def _changed(self, name: str, column: pa.ChunkedArray) -> pa.Array:
        check_no_nulls(name, column)
        numbers = self._numbers(name)
        places = indices_of(column, numbers).fill_null(-1).to_numpy()
        found = np.zeros((len(column), len(numbers)), dtype=np.uint8)
        known = places >= 0
        found[np.flatnonzero(known), places[known]] = 1
        return tensor_column(found)


class MultiHotEncoder(OneHotEncoder):
    """Lists of categories as vectors with the number of times that each category is in the list.

    Args:
        columns: columns of lists.
        max_categories: for some columns, how many of the most frequent categories have a place.
        output_columns: their new names; the same by default.

    Raises:
        ValueError: ``max_categories`` names a column that is not among ``columns``.
    """

    _of_lists = True

    def _changed(self, name: str, column: pa.ChunkedArray) -> pa.Array:
        check_no_nulls(name, column)
        numbers = self._numbers(name)
        found = np.zeros((len(column), len(numbers)), dtype=np.int64)
        for row, value in enumerate(python_of(column)):
            for item in value if is_list(column.type) else [value]:
                place = numbers.get(item)
                if place is not None:
                    found[row, place] += 1
        return tensor_column(found)


class LabelEncoder(Preprocessor):
    """The label's categories as whole numbers; null for one that is not known.

    Args:
        label_column: the column.
        output_column: its new name; the same by default.
    """

    def __init__(self, label_column: str, *, output_column: str | None = None) -> None:
        self.label_column = label_column
        self.output_column = output_column or label_column

    def get_input_columns(self) -> list[str]:
        return [self.label_column]

    def get_output_columns(self) -> list[str]:
        return [self.output_column]

    def _fit(self, ds: Dataset) -> None:
        counts = counted(ds, [self.label_column], flatten=False)
        self.stats_ = {f"unique_values({self.label_column})": numbered(counts[self.label_column])}

    def _transform_table(self, table: pa.Table) -> pa.Table:
        check_columns([self.label_column], table.column_names)
        column = table.column(self.label_column)
        check_no_nulls(self.label_column, column)
        numbers = self.stats_[f"unique_values({self.label_column})"]
        return with_column(table, self.output_column, indices_of(column, numbers))

    def inverse_transform(self, ds: Dataset) -> Dataset:
        """A dataset in which the numbers are labels again.

        Raises:
            PreprocessorNotFittedException: It is not fitted.
        """
        self._check_fitted("inverse_transform")
        return ds.map_batches(self._labels_of, batch_format="pyarrow")

    def _labels_of(self, table: pa.Table) -> pa.Table:
        labels = pa.array(list(self.stats_[f"unique_values({self.label_column})"]))
        numbers = table.column(self.output_column).cast(pa.int64())
        return with_column(table, self.label_column, pc.take(labels, numbers))


class Categorizer(ColumnPreprocessor):
    """Columns of pandas' categories: frames have the dtype ``category``; elsewhere an unknown value is null.

    Args:
        columns: columns of categories.
        dtypes: for some columns, the `pandas.CategoricalDtype` that they get; others are learnt.
        output_columns: their new names; the same by default.
    """

    _keeps_form = True

    def __init__(
        self,
        columns: Sequence[str],
        dtypes: Mapping[str, Any] | None = None,
        output_columns: Sequence[str] | None = None,
    ) -> None:
        super().__init__(columns, output_columns)
        self.dtypes = dict(dtypes or {})

    def _fit(self, ds: Dataset) -> None:
        import pandas as pd

        learnt = [name for name in self.columns if name not in self.dtypes]
        counts = counted(ds, learnt, flatten=False, keep_nulls=True) if learnt else {}
        self.stats_ = {
            name: self.dtypes[name] if name in self.dtypes else pd.CategoricalDtype(list(numbered(counts[name])))
            for name in self.columns
        }

    def _changed(self, name: str, column: pa.ChunkedArray) -> pa.ChunkedArray:
        raise NotImplementedError

    def _transform_pandas(self, frame: Any) -> Any:
        import pandas as pd

        check_columns(self.columns, list(frame.columns))
        made = [pd.Series(_categorical(frame[name], self.stats_[name]), index=frame.index) for name in self.columns]
        for name, column in zip(self.output_columns, made, strict=True):
            frame[name] = column
        return frame


def _categorical(series: Any, dtype: Any) -> Any:
    """A column in a dtype of categories; null where there is none for a value."""
    import pandas as pd

    return pd.Categorical.from_codes(dtype.categories.get_indexer(series), dtype=dtype)
