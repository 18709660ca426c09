"""NumPy files: one column of each block."""

from __future__ import annotations

import io
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from ray_async.data.block.columns import numpy_of
from ray_async.data.plan.columns import check_columns

__all__ = ("NumpyFormat",)


@dataclass(frozen=True)
class NumpyFormat:
    """NumPy's own format.

    Attributes:
        column: the column that is written.
    """

    column: str
    name = "Numpy"
    extension = "npy"

    def encode(self, table: pa.Table, stream: Any) -> None:
        check_columns([self.column], table.column_names)
        buffer = io.BytesIO()
        array = numpy_of(table.column(self.column))
        if array.dtype == object:
            raise TypeError(
                f"column {self.column!r} is {table.schema.field(self.column).type}, of which no array is made"
            )
        np.save(buffer, array, allow_pickle=False)
        stream.write(buffer.getvalue())

    def check(self, schema: pa.Schema) -> None:
        check_columns([self.column], schema.names)
