"""ORC files."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import pyarrow as pa

__all__ = ("ORCReadFormat",)


@dataclass(frozen=True)
class ORCReadFormat:
    """ORC, a table for each stripe."""

    name = "ORC"
    growth = 3.0
    compressed = False
    refuses_empty = True

    def tables(self, content: pa.Buffer, path: str) -> Iterator[pa.Table]:
        from pyarrow import orc

        file = orc.ORCFile(pa.BufferReader(content))
        if not file.nstripes:
            yield file.schema.empty_table()
        for stripe in range(file.nstripes):
            yield pa.Table.from_batches([file.read_stripe(stripe)])

    def schema(self) -> None:
        return None
