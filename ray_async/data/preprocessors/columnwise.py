"""The base of preprocessors that make one column of one."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence

import pyarrow as pa

from ray_async.data.plan.columns import check_columns
from ray_async.data.preprocessor import Preprocessor, check_outputs

__all__ = ("ColumnPreprocessor", "floats", "with_column")


class ColumnPreprocessor(Preprocessor):
    """A preprocessor of columns, each for itself.

    Args:
        columns: what it reads.
        output_columns: what it writes; the same columns by default.
    """

    def __init__(self, columns: Sequence[str], output_columns: Sequence[str] | None = None) -> None:
        self.columns = list(columns)
        self.output_columns = check_outputs(columns, output_columns)

    @abstractmethod
    def _changed(self, name: str, column: pa.ChunkedArray) -> pa.Array | pa.ChunkedArray:
        """What a column becomes."""

    def _transform_table(self, table: pa.Table) -> pa.Table:
        check_columns(self.columns, table.column_names)
        made = [self._changed(name, table.column(name)) for name in self.columns]
        for name, column in zip(self.output_columns, made, strict=True):
            table = with_column(table, name, column)
        return table


def with_column(table: pa.Table, name: str, column: pa.Array | pa.ChunkedArray) -> pa.Table:
    """A table with a column in the place of the one of that name, or behind the others."""
    if name in table.column_names:
        return table.set_column(table.column_names.index(name), name, column)
    return table.append_column(name, column)


def floats(name: str, column: pa.ChunkedArray) -> pa.ChunkedArray:
    """A column of numbers as floats; nulls stay.

    Raises:
        TypeError: It holds no numbers.
    """
    kind = column.type
    types = pa.types
    if not any(
        t(kind) for t in (types.is_integer, types.is_floating, types.is_decimal, types.is_boolean, types.is_null)
    ):
        raise TypeError(f"column {name!r} is {kind}, but numbers are needed")
    return column.cast(pa.float64())
