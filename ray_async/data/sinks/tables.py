"""Sinks of tables that take all rows in one transaction: databases, and table formats with a log.

The driver writes, since a transaction has one writer: the rows come from workers as they are ready, and all become
visible at once, or none does. So no call that runs again can double them.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator

import pyarrow as pa

from ray_async.data.block.schema import conformed, unified

__all__ = ("RowStream", "TableSink")


class RowStream:
    """The rows of a dataset on their way into a sink, in one schema.

    Args:
        tables: the tables.
        schema: the dataset's, if it is known; else the first table's.

    Attributes:
        rows: rows that have passed.
    """

    def __init__(self, tables: Iterable[pa.Table], schema: pa.Schema | None) -> None:
        self._tables = iter(tables)
        self._first: pa.Table | None = None
        self.rows = 0
        if schema is None or not len(schema):
            self._first = next((table for table in self._tables if table.num_columns), None)
            schema = pa.schema([]) if self._first is None else self._first.schema
        self.schema = schema

    def tables(self) -> Iterator[pa.Table]:
        """The tables.

        Raises:
            TypeError: One does not fit the schema of those before it.
        """
        if self._first is not None:
            self.rows += self._first.num_rows
            yield self._first
        for table in self._tables:
            if not table.num_columns:
                continue
            self.rows += table.num_rows
            yield self._fitting(table)

    def batches(self) -> pa.RecordBatchReader:
        """The rows as a stream of Arrow's record batches."""
        batches = (batch for table in self.tables() for batch in table.to_batches())
        return pa.RecordBatchReader.from_batches(self.schema, batches)

    def _fitting(self, table: pa.Table) -> pa.Table:
        if table.schema.equals(self.schema):
            return table
        both = unified([self.schema, table.schema])
        if not both.equals(self.schema):
            changed = [field.name for field in both if field not in self.schema]
            raise TypeError(
                f"column {changed[0]!r} has another type, or is new, in a later block: write "
                "ds.materialize(), whose schema is known"
            )
        return conformed(table, self.schema)


class TableSink(ABC):
    """A sink that takes all rows in one transaction."""

    #: For errors and statistics.
    name = "WriteTable"

    @abstractmethod
    def write(self, rows: RowStream) -> None:
        """Write all rows and make them visible, or raise and leave everything as it was."""
