"""Folders of files: written where nobody looks, and published by renaming once all is written.

On local disks the files of a write lie in a hidden folder inside of the destination until then. Object stores have no
renaming; there a file is encoded first and then put in one piece, and what a failed write has put is removed.
"""

from __future__ import annotations

import contextlib
import os
import posixpath
import uuid
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol
from urllib.parse import quote

import pyarrow as pa
import pyarrow.fs as pafs

from ray_async.data.block.rows import rows_of
from ray_async.data.block.schema import check_no_mixture, concatenated, conformed, unified
from ray_async.data.engine.grouping import group_bounds
from ray_async.data.engine.ordering import sorted_table
from ray_async.data.plan.columns import check_columns
from ray_async.data.sinks.base import Receipt, RowSink
from ray_async.data.sinks.filename_provider import FilenameProvider
from ray_async.data.sinks.save_mode import SaveMode
from ray_async.data.sources.filesystem import is_local, resolved
from ray_async.data.sources.partitioning import NULL_FOLDER
from ray_async.data.sources.retrying import retried

__all__ = ("FileFormat", "FileSink")


class FileFormat(Protocol):
    """How a table becomes a file: picklable."""

    name: str

    @property
    def extension(self) -> str:
        """The ending of files, without the dot."""
        ...

    def encode(self, table: pa.Table, stream: Any) -> None:
        """Write a whole file to a stream, which the caller closes."""
        ...

    def check(self, schema: pa.Schema) -> None:
        """Refuse columns that the format cannot hold.

        Raises:
            TypeError: There is such a column; it is named.
        """
        ...


@dataclass
class FileSink(RowSink):
    """A folder of files of one format.

    Attributes:
        path: the folder.
        format: how a table becomes a file.
        filesystem: as for `resolved`.
        mode: what to do if the folder exists.
        partition_columns: columns whose values become folders.
        rows_per_file: rows that a file has at most.
        make_folder: whether to make the folder.
        names: names the files.
        row_files: whether each row has a file of its own.
    """

    path: str
    format: FileFormat
    filesystem: Any = None
    mode: SaveMode = SaveMode.APPEND
    partition_columns: tuple[str, ...] = ()
    rows_per_file: int | None = None
    make_folder: bool = True
    names: FilenameProvider = field(default_factory=FilenameProvider)
    row_files: bool = False
    write_id: str = field(default_factory=lambda: uuid.uuid4().hex)

    def __post_init__(self) -> None:
        self.system, self.folder = resolved(self.path, self.filesystem)
        self.folder = self.folder.rstrip("/") or "/"
        self.filesystem = None
        self.name = f"Write{self.format.name}"
        self._old: list[str] = []

    @property
    def _staging(self) -> str:
        """The folder in which calls write: on local disks one that no reader looks into."""
        return f"{self.folder}/.{self.write_id}.tmp" if is_local(self.system) else self.folder

    # Driver

    def prepare(self) -> bool:
        exists = self.system.get_file_info(self.folder).type != pafs.FileType.NotFound
        if exists and self.mode in (SaveMode.ERROR, SaveMode.CREATE):
            raise ValueError(f"{self.path} already exists, and mode is {str(self.mode)!r}")
        if exists and self.mode is SaveMode.IGNORE:
            return False
        self._old = self._files() if exists and self.mode is SaveMode.OVERWRITE else []
        if not exists and not self.make_folder:
            raise FileNotFoundError(f"there is no folder {self.path}, and try_create_dir is False")
        if self.make_folder or is_local(self.system):
            self.system.create_dir(self._staging, recursive=True)
        return True

    def _files(self) -> list[str]:
        selector = pafs.FileSelector(self.folder, allow_not_found=True, recursive=True)
        return [info.path for info in self.system.get_file_info(selector) if info.type == pafs.FileType.File]

    def commit(self, receipts: Sequence[Receipt], schema: pa.Schema | None) -> None:
        self._give_one_schema(receipts)
        if not receipts and schema is not None and len(schema) and not self.row_files:
            names = [name for name in schema.names if name not in self.partition_columns]
            table = schema.empty_table().select(names)
            receipts = [self._write_file(table, "", self.names.get_filename_for_task(self.write_id, 0))]
        if is_local(self.system):
            for receipt in receipts:
                target = f"{self.folder}/{receipt['path']}"
                os.makedirs(os.path.dirname(target), exist_ok=True)
                os.replace(f"{self._staging}/{receipt['path']}", target)
            self.system.delete_dir(self._staging)
        published = {f"{self.folder}/{receipt['path']}" for receipt in receipts}
        for path in self._old:  # the new files are all there: no moment without either
            if path not in published:
                self.system.delete_file(path)
        self._remove_empty_folders()

    def _give_one_schema(self, receipts: Sequence[Receipt]) -> None:
        """Write files again whose blocks had other types than those of the others, such as null alone.

        Raises:
            TypeError: The types do not fit together.
        """
        decode = getattr(self.format, "decode", None)
        known = {receipt.get("schema"): pa.schema([]) for receipt in receipts}
        if decode is None or len(known) < 2:
            return
        known = {text: pa.ipc.read_schema(pa.py_buffer(text)) for text in known}
        whole = unified(known.values())
        check_no_mixture(whole, list(known.values()))
        for receipt in receipts:
            if known[receipt["schema"]].equals(whole):
                continue
            folder, name = posixpath.split(receipt["path"])
            with self.system.open_input_file(f"{self._staging}/{receipt['path']}") as stream:
                table = decode(stream)
            self._write_file(conformed(table, whole), folder, name)

    def _remove_empty_folders(self) -> None:
        """After an overwrite, folders of partitions that have no file any more."""
        if not (self._old and is_local(self.system)):
            return
        for folder, _, _ in os.walk(self.folder, topdown=False):
            if folder != self.folder:
                with contextlib.suppress(OSError):
                    os.rmdir(folder)

    def abort(self, error: BaseException) -> None:
        if is_local(self.system):
            # A call that was stopped may not have noticed yet. Under another name no file of its comes in between.
            gone = f"{self._staging}.gone"
            with contextlib.suppress(FileNotFoundError):
                os.rename(self._staging, gone)
                self.system.delete_dir(gone)
            return
        for path in self._files():
            if self.write_id in posixpath.basename(path):
                self.system.delete_file(path)

    # Workers

    def write(self, tables: Iterable[pa.Table], number: int) -> Iterator[Receipt]:
        table = concatenated(list(tables) or [pa.table({})])
        if not table.num_rows:
            return
        check_columns(self.partition_columns, table.column_names)
        stem = self.names.get_filename_for_task(self.write_id, number)
        for folder, part in self._partitions(table):
            self.format.check(part.schema)
            if self.row_files:
                yield from self._row_files(part, folder, number)
                continue
            size = self.rows_per_file or part.num_rows
            for index, start in enumerate(range(0, part.num_rows, size)):
                name = stem if size >= part.num_rows else f"{stem}-{index:06d}"
                yield self._write_file(part.slice(start, size), folder, name)

    def _row_files(self, table: pa.Table, folder: str, number: int) -> Iterator[Receipt]:
        for index, row in enumerate(rows_of(table)):
            name = self.names.get_filename_for_row(row, self.write_id, number, 0, index)
            yield self._write_file(table.slice(index, 1), folder, name)

    def _partitions(self, table: pa.Table) -> Iterator[tuple[str, pa.Table]]:
        keys = self.partition_columns
        if not keys:
            yield "", table
            return
        ordered = sorted_table(table, keys, [False] * len(keys))
        kept = [name for name in table.column_names if name not in keys]
        for start, stop in group_bounds(ordered, keys):
            part = ordered.slice(start, stop - start)
            folders = [f"{quote(key, safe='')}={_folder(part.column(key)[0].as_py())}" for key in keys]
            yield "/".join(folders), part.select(kept)

    def _write_file(self, table: pa.Table, folder: str, stem: str) -> Receipt:
        ending = f".{self.format.extension}"
        name = stem if stem.endswith(ending) else stem + ending
        path = f"{folder}/{name}" if folder else name
        target = f"{self._staging}/{path}"
        try:
            if is_local(self.system):
                _make_folders(self._staging, posixpath.dirname(path))
                size = _put_local(target, table, self.format.encode)
            else:
                size = self._put(target, table)
        except OSError as error:
            text = f"Failed to write {self.folder}/{path}: {error.strerror or error}"
            raise (OSError(text) if error.errno is None else OSError(error.errno, text)) from error
        receipt = {"path": path, "rows": table.num_rows, "bytes": size}
        if hasattr(self.format, "decode"):
            receipt["schema"] = table.schema.remove_metadata().serialize().to_pybytes()
        return receipt

    def _put(self, target: str, table: pa.Table) -> int:
        buffer = pa.BufferOutputStream()
        self.format.encode(table, buffer)
        encoded = buffer.getvalue()
        retried(lambda: self._send(target, encoded))
        return int(encoded.size)

    def _send(self, target: str, encoded: pa.Buffer) -> None:
        folder = posixpath.dirname(target)
        if folder != self.folder:
            self.system.create_dir(folder, recursive=True)
        stream = self.system.open_output_stream(target)
        try:
            stream.write(encoded)
            stream.close()
        except BaseException:
            # Closing publishes what was sent so far, and so does dropping the stream.
            with contextlib.suppress(OSError):
                stream.close()
            with contextlib.suppress(OSError):
                self.system.delete_file(target)
            raise


def _make_folders(root: str, folder: str) -> None:
    """Make folders below one that exists; one that is gone is not made again."""
    made = root
    for name in filter(None, folder.split("/")):
        made = f"{made}/{name}"
        with contextlib.suppress(FileExistsError):
            os.mkdir(made)


def _put_local(target: str, table: pa.Table, encode: Callable[[pa.Table, Any], None]) -> int:
    """Write beside the target and rename, so that a call which is run again finds a whole file or none."""
    beside = f"{target}.{uuid.uuid4().hex[:8]}"
    try:
        with pa.OSFile(beside, "wb") as stream:
            encode(table, stream)
        size = os.path.getsize(beside)
        os.replace(beside, target)
    except BaseException:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(beside)
        raise
    return size


def _folder(value: Any) -> str:
    return NULL_FOLDER if value is None else quote(str(value), safe=" :+,@")
