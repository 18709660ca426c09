"""Writing: the last step of a chain, which gives a receipt for each thing that it has written."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import pyarrow as pa

from ray_async.data.block.rows import table_of_rows
from ray_async.data.sinks.base import RowSink

__all__ = ("WriteStep",)


@dataclass(frozen=True)
class WriteStep:
    """The rows of a call written to a sink."""

    sink: RowSink

    def run(self, tables: Iterable[pa.Table]) -> Iterator[pa.Table]:
        return self.run_numbered(tables, 0)

    def run_numbered(self, tables: Iterable[pa.Table], number: int) -> Iterator[pa.Table]:
        receipts = list(self.sink.write(tables, number))
        if receipts:
            yield table_of_rows(receipts)
