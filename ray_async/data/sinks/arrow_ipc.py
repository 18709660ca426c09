"""Arrow's own files."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa

from ray_async.data.block.tensors import PythonObjectType

__all__ = ("ArrowFormat",)


@dataclass(frozen=True)
class ArrowFormat:
    """Arrow's file format, also called Feather 2.

    Attributes:
        options: of `pyarrow.ipc.IpcWriteOptions`.
    """

    options: Mapping[str, Any] = field(default_factory=dict)
    name = "Arrow"
    extension = "arrow"

    def encode(self, table: pa.Table, stream: Any) -> None:
        options = pa.ipc.IpcWriteOptions(**self.options)
        # An error inside of "with" would finish the file, which then looks whole; the caller removes it anyway.
        with pa.ipc.new_file(stream, table.schema, options=options) as writer:
            writer.write_table(table)

    def check(self, schema: pa.Schema) -> None:
        for name, kind in zip(schema.names, schema.types, strict=True):
            if isinstance(kind, PythonObjectType):
                raise TypeError(f"column {name!r} holds Python objects, which are not read from files: drop it")
