"""Writing: the last step of a chain, which gives one row for a call: what it has written, and the types it has seen."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import pyarrow as pa

from ray_async.data.block.bundle import different
from ray_async.data.block.rows import rows_of, table_of_rows
from ray_async.data.sinks.base import Receipt, RowSink

__all__ = ("WriteStep", "receipts_and_schemas")


@dataclass(frozen=True)
class WriteStep:
    """The rows of a call written to a sink."""

    sink: RowSink

    def run(self, tables: Iterable[pa.Table]) -> Iterator[pa.Table]:
        return self.run_numbered(tables, 0)

    def run_numbered(self, tables: Iterable[pa.Table], number: int) -> Iterator[pa.Table]:
        seen: list[pa.Schema] = []
        receipts = list(self.sink.write(_noted(tables, seen), number))
        schemas = [schema.serialize().to_pybytes() for schema in different(seen)]
        yield table_of_rows([{"receipts": receipts, "schemas": schemas}])


def _noted(tables: Iterable[pa.Table], seen: list[pa.Schema]) -> Iterator[pa.Table]:
    for table in tables:
        if table.num_columns:
            seen.append(table.schema)
        yield table


def receipts_and_schemas(tables: Iterable[pa.Table]) -> tuple[list[Receipt], list[pa.Schema]]:
    """What the calls of a write have written, and the schemas of the blocks that they were given, each once.

    Args:
        tables: what `WriteStep` gave, in the order of the rows.
    """
    receipts: list[Receipt] = []
    schemas: dict[bytes, None] = {}
    for table in tables:
        for row in rows_of(table):
            receipts += row["receipts"]
            schemas.update(dict.fromkeys(row["schemas"]))
    return receipts, [pa.ipc.read_schema(pa.py_buffer(schema)) for schema in schemas]
