"""Parquet files."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa

from ray_async.data.block.tensors import PythonObjectType

__all__ = ("ParquetFormat",)


@dataclass(frozen=True)
class ParquetFormat:
    """Parquet, as `pyarrow.parquet.write_table` writes it.

    Attributes:
        options: of `write_table`.
        options_function: gives further options when a file is written.
    """

    options: Mapping[str, Any] = field(default_factory=dict)
    options_function: Callable[[], Mapping[str, Any]] | None = None
    name = "Parquet"
    extension = "parquet"

    def encode(self, table: pa.Table, stream: Any) -> None:
        import pyarrow.parquet as pq

        options = dict(self.options)
        if self.options_function is not None:
            options |= self.options_function()
        pq.write_table(table, stream, **options)

    def check(self, schema: pa.Schema) -> None:
        for name, kind in zip(schema.names, schema.types, strict=True):
            if isinstance(kind, PythonObjectType):
                warnings.warn(
                    f"column {name!r} holds Python objects; they are written pickled, and reading them is refused",
                    stacklevel=2,
                )

    def decode(self, stream: Any) -> pa.Table:
        """The table of a file that `encode` wrote."""
        import pyarrow.parquet as pq

        return pq.ParquetFile(stream).read().replace_schema_metadata(None)
