"""Files of which each is read as a whole; a format says what its bytes mean."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, Protocol

import pyarrow as pa

from ray_async.data.block.schema import conformed, unified
from ray_async.data.plan.columns import check_columns
from ray_async.data.sources.base import Parallelism, RowSource
from ray_async.data.sources.listing import FileListing, SourceFile
from ray_async.data.sources.partitioning import Partitioning, with_partitions
from ray_async.data.sources.retrying import retried

__all__ = ("FileSource", "ReadFormat")

COMPRESSIONS = {"gz": "gzip", "bz2": "bz2", "zst": "zstd", "zstd": "zstd", "lz4": "lz4", "br": "brotli"}
SAMPLED_FILES = 16
SAMPLED_BYTES = 4 << 20


class ReadFormat(Protocol):
    """What the bytes of a file mean: picklable."""

    name: str
    #: How much larger rows are in memory than in the file, roughly.
    growth: float
    #: Whether names such as ``x.csv.gz`` mean compressed files.
    compressed: bool
    #: Whether a file without a byte is an error; else it has no rows.
    refuses_empty: bool

    def tables(self, content: pa.Buffer, path: str) -> Iterator[pa.Table]:
        """The tables of one file.

        Raises:
            ValueError: The file is damaged, or something else.
        """
        ...

    def schema(self) -> pa.Schema | None:
        """The schema of all files; None if it depends on them."""
        ...


@dataclass(frozen=True)
class FileSource(RowSource):
    """Files of one format.

    Attributes:
        listing: the files.
        format: what their bytes mean.
        partitioning: columns in folders' names; None for none.
        include_paths: whether a column ``path`` is added.
        options: of the file system's `open_input_stream`.
        columns: columns to keep; None for all.
    """

    listing: FileListing
    format: ReadFormat
    partitioning: Partitioning | None = None
    include_paths: bool = False
    options: dict[str, Any] = field(default_factory=dict)
    columns: tuple[str, ...] | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "name", self.format.name)

    def schema(self) -> pa.Schema | None:
        known = self._own_schema
        if known is None or self.columns is None:
            return known
        return pa.schema([known.field(name) for name in self.columns])

    @cached_property
    def _own_schema(self) -> pa.Schema | None:
        """Columns of the format, or of the first files if these are small."""
        known = self.format.schema()
        if known is None:
            files = self.listing.files[:SAMPLED_FILES]
            if not files or sum(file.size for file in files) > SAMPLED_BYTES:
                return None
            return self._sampled_schema(files)
        for file in self.listing.files[:1]:
            known = self._completed(known.empty_table(), file).schema
        return known

    def _sampled_schema(self, files: Sequence[SourceFile]) -> pa.Schema | None:
        """The schema of files; None if none of them can be read, or has any rows."""
        schemas: list[pa.Schema] = []
        damaged = False
        for file in files:
            try:
                schemas += [table.schema for table in self._tables(file)]
            except ValueError:  # the read of this file raises it again, and may be one of those that may fail
                damaged = True
        if schemas:
            return unified(schemas)
        return None if damaged else pa.schema([])

    def count(self) -> int | None:
        return None

    def size(self) -> int:
        return int(self.listing.size * self.format.growth)

    def reads(self, parallelism: Parallelism) -> Sequence[tuple[int, ...]]:
        files = self.listing.files
        count = min(len(files), parallelism.count(len(files), self.size()))
        found: list[list[int]] = []
        total, done = sum(file.size + 1 for file in files) or 1, 0
        for index, file in enumerate(files):
            place = min(count - 1, (done + file.size // 2) * count // total)
            if not found or place >= len(found):
                found.append([])
            found[-1].append(index)
            done += file.size + 1
        return [tuple(group) for group in found]

    def read(self, params: tuple[int, ...]) -> Iterator[pa.Table]:
        known = self.schema()
        for index in params:
            for table in self._tables(self.listing.files[index]):
                if self.columns is not None:
                    check_columns(self.columns, table.column_names)
                    table = table.select(list(self.columns))
                if known is not None and len(known) and table.schema != known:
                    table = conformed(table, unified([known, table.schema]))
                yield table

    def _tables(self, file: SourceFile) -> Iterator[pa.Table]:
        content = retried(lambda: self._content(file.path))
        if not content.size and self.format.refuses_empty:
            warnings.warn(f"{file.path} is empty and is passed over", stacklevel=2)
            return
        try:
            for table in self.format.tables(content, file.path):
                yield self._completed(table, file)
        except (pa.ArrowInvalid, pa.ArrowKeyError, UnicodeDecodeError, OSError) as error:
            # The bytes are all there: an OSError is what a library makes of an end that comes too early.
            raise ValueError(f"Failed to read {self.format.name} file: {file.path}: {error}") from error

    def _completed(self, table: pa.Table, file: SourceFile) -> pa.Table:
        if self.include_paths:
            table = table.append_column("path", pa.repeat(pa.scalar(file.path), table.num_rows))
        if self.partitioning is not None:
            table = with_partitions(table, self.partitioning.values(file))
        return table

    def _content(self, path: str) -> pa.Buffer:
        ending = path.rsplit(".", 1)[-1].lower()
        codec = COMPRESSIONS.get(ending) if self.format.compressed else None
        options = {"compression": codec, **self.options}
        with self.listing.filesystem.open_input_stream(path, **options) as stream:
            try:
                return pa.py_buffer(stream.read())
            except OSError as error:
                if codec is None:
                    raise
                raise ValueError(f"Failed to read {self.format.name} file: {path}: {error}") from error

    def select(self, columns: Sequence[str]) -> RowSource:
        known = self._own_schema
        check_columns(columns, None if known is None else known.names)
        return replace(self, columns=tuple(columns))

    def input_files(self) -> list[str]:
        return [file.path for file in self.listing.files]

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_own_schema": self._own_schema}
