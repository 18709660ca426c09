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
        orc.write_table(table.cast(pa.schema(map(_known, table.schema))), sink, **options)
        stream.write(sink.getvalue())

    def check(self, schema: pa.Schema) -> None:
        from pyarrow import orc

        for column in schema:
            try:
                orc.write_table(pa.schema([_known(column)]).empty_table(), pa.BufferOutputStream())
            except (pa.ArrowNotImplementedError, pa.ArrowInvalid):
                raise TypeError(
                    f"column {column.name!r} is {column.type}, which has no form in ORC: drop it, or write Parquet"
                ) from None


def _known(field: pa.Field) -> pa.Field:
    """A field of a type that the writer knows and that holds the same values."""
    kind = field.type
    if pa.types.is_dictionary(kind):
        return field.with_type(kind.value_type)
    if pa.types.is_null(kind) or kind == pa.string_view():
        return field.with_type(pa.string())
    return field
