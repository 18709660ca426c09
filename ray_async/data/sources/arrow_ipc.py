"""Arrow's own files: record batches in the file format (also called Feather 2) or in the stream format."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import pyarrow as pa

from ray_async.data.sources.checked import check_no_objects

__all__ = ("ArrowReadFormat",)

_FILE_MAGIC = b"ARROW1"
_FEATHER_1_MAGIC = b"FEA1"


@dataclass(frozen=True)
class ArrowReadFormat:
    """Record batches; which of Arrow's formats it is, is seen in the file."""

    name = "Arrow"
    growth = 1.5
    compressed = True
    refuses_empty = True

    def tables(self, content: pa.Buffer, path: str) -> Iterator[pa.Table]:
        start = content[:6].to_pybytes()
        if start.startswith(_FEATHER_1_MAGIC):
            from pyarrow import feather

            yield feather.read_table(pa.BufferReader(content))
            return
        table = self._whole(content, in_file=start == _FILE_MAGIC)
        check_no_objects(table.schema, path)
        yield table

    def _whole(self, content: pa.Buffer, *, in_file: bool) -> pa.Table:
        if in_file:
            with pa.ipc.open_file(content) as reader:
                return reader.read_all()
        with pa.ipc.open_stream(content) as reader:
            return reader.read_all()

    def schema(self) -> None:
        return None
