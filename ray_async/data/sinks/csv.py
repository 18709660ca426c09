"""CSV files."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa
import pyarrow.csv as pacsv

__all__ = ("CSVFormat",)


@dataclass(frozen=True)
class CSVFormat:
    """CSV, as `pyarrow.csv.write_csv` writes it.

    Attributes:
        options: of `write_csv`.
        options_function: gives further options when a file is written.
    """

    options: Mapping[str, Any] = field(default_factory=dict)
    options_function: Callable[[], Mapping[str, Any]] | None = None
    name = "CSV"
    extension = "csv"

    def encode(self, table: pa.Table, stream: Any) -> None:
        options = dict(self.options)
        if self.options_function is not None:
            options |= self.options_function()
        pacsv.write_csv(table, stream, **options)

    def check(self, schema: pa.Schema) -> None:
        for name, kind in zip(schema.names, schema.types, strict=True):
            if pa.types.is_nested(kind) or isinstance(kind, pa.BaseExtensionType):
                raise TypeError(
                    f"column {name!r} is {kind}, which has no form in CSV: drop it, or write Parquet or JSON"
                )
