"""Pictures: a file for each row."""

from __future__ import annotations

import io
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from ray_async.data.block.columns import python_of
from ray_async.data.block.tensors import is_tensor
from ray_async.data.plan.columns import check_columns
from ray_async.data.sources.optional import library

__all__ = ("ImageFormat",)


@dataclass(frozen=True)
class ImageFormat:
    """Pictures of arrays of height, width and, for colours, channels.

    Attributes:
        column: the column of arrays.
        extension: names the format, of Pillow's.
    """

    column: str
    extension: str = "png"
    name = "Images"

    def encode(self, table: pa.Table, stream: Any) -> None:
        image = library("PIL.Image", "pillow", "write_images")
        array = python_of(table.column(self.column))[0]
        format = image.registered_extensions().get(f".{self.extension.lower()}")
        if array is None or format is None:
            raise ValueError(
                f"column {self.column!r} has a null"
                if array is None
                else f"Pillow has no format for files that end in .{self.extension}"
            )
        if array.ndim == 3 and array.shape[2] == 1:
            array = array[:, :, 0]
        buffer = io.BytesIO()
        try:
            image.fromarray(array).save(buffer, format=format)
        except (TypeError, OSError, ValueError) as error:
            shape = f"{array.dtype} of shape {array.shape}"
            raise ValueError(f"column {self.column!r} has an array that is no picture, {shape}: {error}") from error
        stream.write(buffer.getvalue())

    def check(self, schema: pa.Schema) -> None:
        check_columns([self.column], schema.names)
        kind = schema.field(self.column).type
        if not is_tensor(kind):
            raise TypeError(f"column {self.column!r} is {kind}, and no arrays of height, width and channels")
