"""ORC files."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa

__all__ = ("ORCFormat",)


@dataclass(frozen=True)
class ORCFormat:
    """ORC, as `pyarrow.orc.write_table` writes it.

    Attributes:
        options: of `write_table`.
        options_function: gives further options when a file is written.
    """

    options: Mapping[str, Any] = field(default_factory=dict)
    options_function: Callable[[], Mapping[str, Any]] | None = None
    name = "ORC"
    extension = "orc"

    def encode(self, table: pa.Table, stream: Any) -> None:
        from pyarrow import orc

        options = dict(self.options)
        if self.options_function is not None:
            options |= self.options_function()
        sink = pa.BufferOutputStream()
        orc.write_table(table, sink, **options)
        stream.write(sink.getvalue())

    def check(self, schema: pa.Schema) -> None:
        for name, kind in zip(schema.names, schema.types, strict=True):
            tests = (pa.types.is_unsigned_integer, pa.types.is_time, pa.types.is_duration)
            if isinstance(kind, pa.BaseExtensionType) or any(test(kind) for test in tests):
                raise TypeError(f"column {name!r} is {kind}, which has no form in ORC: drop it, or write Parquet")
