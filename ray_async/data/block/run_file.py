"""Run files: rows outside of the store that many calls read, each a range of them."""

from __future__ import annotations

import contextlib
import os
import uuid
from dataclasses import dataclass

import pyarrow as pa

from ray_async.exceptions import OutOfDiskError

__all__ = ("RunFile",)


@dataclass(frozen=True)
class RunFile:
    """A table in an Arrow file of one record batch, so that a range of its rows is read without the others.

    Attributes:
        path: of the file.
    """

    path: str

    @classmethod
    def written(cls, table: pa.Table, folder: str) -> RunFile:
        """Write a table into a folder that exists.

        Raises:
            OutOfDiskError: The disk does not take it.
        """
        path = os.path.join(folder, f"{uuid.uuid4().hex}.arrow")
        whole = table.combine_chunks()
        try:
            with pa.OSFile(path, "wb") as file, pa.ipc.new_file(file, whole.schema) as writer:
                writer.write_table(whole)
        except OSError as error:
            with contextlib.suppress(OSError):
                os.unlink(path)
            raise OutOfDiskError(
                f"{table.nbytes} bytes of rows, which do not fit into the object store, cannot be written to {folder}: "
                f"{error}"
            ) from error
        return cls(path)

    def rows(self, start: int, stop: int) -> pa.Table:
        """Some of the rows, mapped rather than read."""
        with pa.memory_map(self.path) as file:
            return pa.ipc.open_file(file).read_all().slice(start, stop - start)
