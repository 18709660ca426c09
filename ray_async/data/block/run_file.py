"""Run files: rows outside of the store that many calls read, each a range of them."""

from __future__ import annotations

import contextlib
import itertools
import os
import uuid
from bisect import bisect_left, bisect_right
from collections.abc import Iterable
from dataclasses import dataclass

import pyarrow as pa

from ray_async.data.block.bundle import Piece
from ray_async.exceptions import OutOfDiskError

__all__ = ("RunFile",)


@dataclass(frozen=True)
class RunFile:
    """A table in an Arrow file, of whose record batches those are read that have the wanted rows.

    Attributes:
        path: of the file.
        bounds: the first row of each record batch, and the end of the last one.
    """

    path: str
    bounds: tuple[int, ...]

    @classmethod
    def written(cls, tables: Iterable[pa.Table], folder: str) -> Piece:
        """Write tables, one after the other as they are made, into one file of a folder that exists.

        Args:
            tables: at least one; all with the same schema.
            folder: the folder.

        Returns:
            All rows of the file.

        Raises:
            OutOfDiskError: The disk does not take them.
        """
        path = os.path.join(folder, f"{uuid.uuid4().hex}.arrow")
        bounds, size = [0], 0
        found = iter(tables)
        first = next(found)
        try:
            with pa.OSFile(path, "wb") as file, pa.ipc.new_file(file, first.schema) as writer:
                for table in itertools.chain([first], found):
                    size += table.nbytes
                    for batch in table.combine_chunks().to_batches():
                        writer.write_batch(batch)
                        bounds.append(bounds[-1] + batch.num_rows)
        except OSError as error:
            with contextlib.suppress(OSError):
                os.unlink(path)
            raise OutOfDiskError(
                f"{size} bytes of rows, which do not fit into the object store, cannot be written to {folder}: {error}"
            ) from error
        return Piece(cls(path, tuple(bounds)), 0, bounds[-1], size, first.schema)

    def rows(self, start: int, stop: int) -> pa.Table:
        """Some of the rows, mapped rather than read."""
        with pa.memory_map(self.path) as file, pa.ipc.open_file(file) as reader:
            if start == stop:
                return reader.schema.empty_table()
            first, end = bisect_right(self.bounds, start) - 1, bisect_left(self.bounds, stop)
            batches = [reader.get_batch(index) for index in range(first, end)]
            return pa.Table.from_batches(batches, reader.schema).slice(start - self.bounds[first], stop - start)
