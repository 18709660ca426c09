"""Text files, a row for each line, and files as they are, a row for each."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import pyarrow as pa

__all__ = ("BinaryReadFormat", "TextReadFormat")


@dataclass(frozen=True)
class TextReadFormat:
    """Lines, without their ends, in a column ``text``.

    Attributes:
        encoding: of the files.
        drop_empty_lines: whether lines without a character are left out.
    """

    encoding: str = "utf-8"
    drop_empty_lines: bool = True
    name = "Text"
    growth = 1.2
    compressed = True
    refuses_empty = False

    def tables(self, content: pa.Buffer, path: str) -> Iterator[pa.Table]:
        text = content.to_pybytes().decode(self.encoding)
        lines = text.replace("\r\n", "\n").split("\n")
        if lines and not lines[-1]:
            lines.pop()  # behind the last line's end is no line
        if self.drop_empty_lines:
            lines = [line for line in lines if line.strip()]
        yield pa.table({"text": pa.array(lines, type=pa.string())})

    def schema(self) -> pa.Schema:
        return pa.schema([("text", pa.string())])


@dataclass(frozen=True)
class BinaryReadFormat:
    """The bytes of each file, in a column ``bytes``."""

    name = "Binary"
    growth = 1.0
    compressed = False
    refuses_empty = False

    def tables(self, content: pa.Buffer, path: str) -> Iterator[pa.Table]:
        kind = pa.binary() if content.size < 1 << 31 else pa.large_binary()
        yield pa.table({"bytes": pa.array([content.to_pybytes()], type=kind)})

    def schema(self) -> pa.Schema:
        return pa.schema([("bytes", pa.binary())])
