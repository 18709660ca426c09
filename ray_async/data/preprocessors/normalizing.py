"""Numbers of a row brought to a common length, and numbers bent by a power."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ray_async.data.plan.columns import check_columns
from ray_async.data.preprocessors.columnwise import ColumnPreprocessor, floats, with_column

__all__ = ("Normalizer", "PowerTransformer")

_NORMS = ("l1", "l2", "max")
_METHODS = ("yeo-johnson", "box-cox")


class Normalizer(ColumnPreprocessor):
    """The numbers of each row divided by their norm; nulls stay, and count as nothing; of zeros alone, zeros.

    Args:
        columns: columns of numbers.
        norm: "l2", "l1", or "max" for the largest absolute value.
        output_columns: their new names; the same by default.

    Raises:
        ValueError: An unknown norm.
    """

    _is_fittable = False

    def __init__(
        self, columns: Sequence[str], norm: str = "l2", *, output_columns: Sequence[str] | None = None
    ) -> None:
        super().__init__(columns, output_columns)
        if norm not in _NORMS:
            raise ValueError(f"Norm {norm} is not supported. Supported values are: {list(_NORMS)}")
        self.norm = norm

    def _changed(self, name: str, column: pa.ChunkedArray) -> pa.ChunkedArray:
        raise NotImplementedError

    def _transform_table(self, table: pa.Table) -> pa.Table:
        check_columns(self.columns, table.column_names)
        columns = [floats(name, table.column(name)) for name in self.columns]
        sizes = np.abs([np.nan_to_num(column.to_numpy(), nan=0.0) for column in columns])
        if self.norm == "l2":
            lengths = np.sqrt(np.square(sizes).sum(axis=0))
        else:
            lengths = sizes.sum(axis=0) if self.norm == "l1" else sizes.max(axis=0, initial=0.0)
        divisor = pa.array(np.where(lengths == 0, 1.0, lengths))
        for name, column in zip(self.output_columns, columns, strict=True):
            table = with_column(table, name, pc.divide(column, divisor))
        return table


class PowerTransformer(ColumnPreprocessor):
    """Numbers bent by a power, so that they lie more like a normal distribution.

    Yeo and Johnson, "A new family of power transformations", 2000; Box and Cox, "An analysis of transformations", 1964.

    Args:
        columns: columns of numbers.
        power: the power.
        method: "yeo-johnson", or "box-cox" for positive numbers.
        output_columns: their new names; the same by default.

    Raises:
        ValueError: An unknown method.
    """

    _is_fittable = False

    def __init__(
        self,
        columns: Sequence[str],
        power: float,
        method: str = "yeo-johnson",
        *,
        output_columns: Sequence[str] | None = None,
    ) -> None:
        super().__init__(columns, output_columns)
        if method not in _METHODS:
            raise ValueError(f"Method {method} is not supported. Supported values are: {list(_METHODS)}")
        self.power = power
        self.method = method

    def _changed(self, name: str, column: pa.ChunkedArray) -> pa.Array:
        numbers = floats(name, column)
        values = numbers.to_numpy()
        with np.errstate(all="ignore"):  # both branches are computed for all numbers
            found = _box_cox(values, self.power) if self.method == "box-cox" else _yeo_johnson(values, self.power)
        return pa.array(found, mask=numbers.is_null().to_numpy())


def _box_cox(values: np.ndarray, power: float) -> np.ndarray:
    return np.asarray(np.log(values) if power == 0 else (np.power(values, power) - 1) / power)


def _yeo_johnson(values: np.ndarray, power: float) -> np.ndarray:
    positive = np.log1p(values) if power == 0 else (np.power(values + 1, power) - 1) / power
    negative = -np.log1p(-values) if power == 2 else -(np.power(1 - values, 2 - power) - 1) / (2 - power)
    return np.asarray(np.where(values >= 0, positive, negative))
