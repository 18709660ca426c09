"""CSV files."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa

__all__ = ("CSVReadFormat",)


@dataclass(frozen=True)
class CSVReadFormat:
    """CSV, as `pyarrow.csv.read_csv` reads it; each file's types are those that hold all of its values.

    Attributes:
        options: ``read_options``, ``parse_options`` and ``convert_options`` of pyarrow's.
    """

    options: Mapping[str, Any] = field(default_factory=dict)
    name = "CSV"
    growth = 1.5
    compressed = True
    refuses_empty = True

    def tables(self, content: pa.Buffer, path: str) -> Iterator[pa.Table]:
        import pyarrow.csv as pacsv

        options = dict(self.options)
        if options.get("read_options") is None:
            # Types are inferred from the first block; so the whole file is one.
            options["read_options"] = pacsv.ReadOptions(
                use_threads=False, block_size=min(content.size + 1, (1 << 31) - 1)
            )
        table = pacsv.read_csv(pa.BufferReader(content), **options)
        names = table.column_names
        if len(set(names)) < len(names):
            twice = sorted({name for name in names if names.count(name) > 1})
            raise KeyError(f"{path} has two columns {', '.join(map(repr, twice))}")
        yield table

    def schema(self) -> None:
        return None
