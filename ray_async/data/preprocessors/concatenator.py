"""Concatenators: several columns as one column of vectors."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from ray_async.data.block.columns import numpy_of
from ray_async.data.block.tensors import is_tensor, tensor_column
from ray_async.data.plan.columns import check_columns
from ray_async.data.preprocessor import Preprocessor
from ray_async.data.preprocessors.categories import is_list
from ray_async.data.preprocessors.columnwise import with_column

__all__ = ("Concatenator",)


class Concatenator(Preprocessor):
    """One column of vectors in the place of several columns, for training.

    Args:
        columns: columns of numbers, and of vectors, in this order; they are dropped.
        output_column_name: the new column.
        dtype: of the vectors, of NumPy's; None: the one that holds all columns.
        raise_if_missing: accepted; a column that is not there is an error in any case.
        flatten: accepted; vectors among the columns are always put together with the numbers.

    Raises:
        UnknownColumnError: A column is not there.
        TypeError: A column holds neither numbers nor vectors.
        ValueError: The vectors of a column differ in length.

    Example:
        >>> Concatenator(["a", "b"], dtype=np.float32).transform_batch({"a": np.array([1]), "b": np.array([2])})
        {'concat_out': array([[1., 2.]], dtype=float32)}
    """

    _is_fittable = False

    def __init__(
        self,
        columns: Sequence[str],
        output_column_name: str = "concat_out",
        dtype: Any = None,
        raise_if_missing: bool = False,
        flatten: bool = False,
    ) -> None:
        self.columns = list(columns)
        self.output_column_name = output_column_name
        self.dtype = dtype
        self.raise_if_missing = raise_if_missing
        self.flatten = flatten

    def get_output_columns(self) -> list[str]:
        return [self.output_column_name]

    def _transform_table(self, table: pa.Table) -> pa.Table:
        check_columns(self.columns, table.column_names)
        parts = [_matrix(name, table.column(name)) for name in self.columns]
        joined = np.concatenate(parts, axis=1)
        if self.dtype is not None:
            joined = joined.astype(self.dtype)
        kept = [name for name in table.column_names if name not in self.columns]
        return with_column(table.select(kept), self.output_column_name, tensor_column(joined))


def _matrix(name: str, column: pa.ChunkedArray) -> np.ndarray[Any, Any]:
    """A column as an array of rows and numbers."""
    array = numpy_of(column)
    if is_tensor(column.type) or is_list(column.type):
        if array.dtype == object:
            lengths = {np.size(value) for value in array}
            if len(lengths) > 1:
                raise ValueError(
                    f"column {name!r} has vectors of {sorted(lengths)} numbers, of which no column is made"
                )
            array = np.stack([np.asarray(value) for value in array]) if len(array) else np.empty((0, 0))
        return array.reshape(len(column), -1) if len(column) else np.empty((0, int(np.prod(array.shape[1:]))))
    if array.dtype.kind not in "biuf":
        raise TypeError(f"column {name!r} is {column.type}, but numbers or vectors are needed")
    return array.reshape(-1, 1)
