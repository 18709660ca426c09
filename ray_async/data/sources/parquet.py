"""Parquet files: split by row groups, with only the columns and rows that are needed."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from functools import cached_property, partial
from typing import Any

import pyarrow as pa

from ray_async.data.block.rows import empty_rows
from ray_async.data.block.schema import conformed, unified
from ray_async.data.expressions.evaluation import filtered
from ray_async.data.expressions.expr import Expr
from ray_async.data.plan.columns import check_columns
from ray_async.data.sources.base import Parallelism, RowSource
from ray_async.data.sources.checked import check_no_objects
from ray_async.data.sources.file_order import FileShuffleConfig, file_order
from ray_async.data.sources.filesystem import is_local
from ray_async.data.sources.listing import FileListing, SourceFile
from ray_async.data.sources.partitioning import Partitioning, with_partitions
from ray_async.data.sources.retrying import retried

__all__ = ("ParquetSource",)

#: Files whose footers are read before anything runs.
FOOTERS = 512
PATH_COLUMN = "path"


@dataclass(frozen=True)
class _Footer:
    schema: pa.Schema = field(default_factory=lambda: pa.schema([]))
    group_rows: tuple[int, ...] = ()
    group_bytes: tuple[int, ...] = ()
    damaged: bool = False


@dataclass(frozen=True)
class ParquetRead:
    """A part of a file: row groups, of whose rows those from ``start`` to ``stop``; all groups if None."""

    file: int
    groups: tuple[int, ...] | None
    start: int = 0
    stop: int | None = None


@dataclass(frozen=True)
class ParquetSource(RowSource):
    """Parquet files.

    Attributes:
        listing: the files.
        partitioning: columns in folders' names; None for none.
        include_paths: whether a column ``path`` is added.
        columns: columns to read, in this order; None for all.
        predicate: rows to keep.
        given: a schema that the user asks for; None takes the files'.
        shuffle: the order of the files; None keeps that of the listing.
        tolerant: whether a damaged footer fails the file's read alone, when the dataset is run.
    """

    listing: FileListing
    partitioning: Partitioning | None = None
    include_paths: bool = False
    columns: tuple[str, ...] | None = None
    predicate: Expr | None = None
    arrow_filter: Any = None
    given: pa.Schema | None = None
    shuffle: FileShuffleConfig | None = None
    tolerant: bool = False
    name = "Parquet"

    def __getstate__(self) -> dict[str, Any]:
        state = dict(self.__dict__)
        state.pop("_footers", None)
        state["_whole_schema"] = self._whole_schema
        return state

    @cached_property
    def _footers(self) -> list[_Footer]:
        """Footers of the first files."""
        files = self.listing.files[:FOOTERS]
        if len(files) == 1:
            return [retried(lambda: self._footer(files[0].path))]
        with ThreadPoolExecutor(8) as pool:
            return list(pool.map(lambda file: retried(lambda: self._footer(file.path)), files))

    def _footer(self, path: str) -> _Footer:
        import pyarrow.parquet as pq

        try:
            with self.listing.filesystem.open_input_file(path) as stream:
                metadata = pq.ParquetFile(stream).metadata
                schema = metadata.schema.to_arrow_schema()
                groups = [metadata.row_group(index) for index in range(metadata.num_row_groups)]
        except pa.ArrowInvalid as error:
            if self.tolerant:
                return _Footer(damaged=True)
            raise ValueError(f"{path} is no Parquet file, or is damaged: {error}") from error
        return _Footer(
            schema.remove_metadata(),
            tuple(group.num_rows for group in groups),
            tuple(group.total_byte_size for group in groups),
        )

    @cached_property
    def _whole_schema(self) -> pa.Schema:
        """Columns of all files, and what is added to them."""
        if not self.listing.files:
            return pa.schema([])
        if self.given is not None:
            found = self.given
        else:
            try:
                found = unified(footer.schema for footer in self._footers)
            except TypeError as error:
                raise TypeError(f"the Parquet files differ: {error}{self._blame(str(error))}") from None
            self._check_mixed(found)
        for file in self.listing.files:
            for name in self.partitioning.values(file) if self.partitioning is not None else ():
                if name not in found.names:
                    found = found.append(pa.field(name, pa.string()))
        if self.include_paths:
            found = found.append(pa.field(PATH_COLUMN, pa.string()))
        return found

    def _check_mixed(self, schema: pa.Schema) -> None:
        for footer, file in zip(self._footers, self.listing.files, strict=False):
            check_no_objects(footer.schema, file.path)
        for name, kind in zip(schema.names, schema.types, strict=True):
            if isinstance(kind, pa.BaseExtensionType) and kind.extension_name == "ray_async.python_object":
                raise TypeError(f"Unable to merge: column {name!r} has types that do not fit{self._blame(name)}")

    def _blame(self, text: str) -> str:
        """Which files have which types of a column that a message names."""
        lines = []
        for footer, file in zip(self._footers, self.listing.files, strict=False):
            lines += [
                f"{file.path}: {name} is {kind}"
                for name, kind in zip(footer.schema.names, footer.schema.types, strict=True)
                if f"'{name}" in text or name == text
            ]
        return "; " + "; ".join(lines[:4]) if lines else ""

    def schema(self) -> pa.Schema:
        if self.columns is None:
            return self._whole_schema
        return pa.schema([self._whole_schema.field(name) for name in self.columns])

    @property
    def _all_known(self) -> bool:
        return len(self.listing.files) <= FOOTERS

    def count(self) -> int | None:
        if self.predicate is not None or self.arrow_filter is not None or not self._all_known:
            return None
        if any(footer.damaged for footer in self._footers):
            return None
        return sum(sum(footer.group_rows) for footer in self._footers)

    def size(self) -> int:
        known = sum(sum(footer.group_bytes) for footer in self._footers)
        if self.columns is not None and self._whole_schema.names:
            known = known * len(self.columns) // len(self._whole_schema.names)
        return known if self._all_known else known * len(self.listing.files) // FOOTERS

    def reads(self, parallelism: Parallelism) -> Sequence[tuple[ParquetRead, ...]]:
        units = self._units(file_order(len(self.listing.files), self.shuffle, parallelism.execution))
        total = sum(size for _, _, size in units)
        rows = sum(count for _, count, _ in units)
        wanted = parallelism.count(rows, total)
        if parallelism.blocks is None and total < wanted << 16:
            wanted = max(1, min(wanted, rows // 1000))  # tiny files are not worth many calls
        if len(units) < wanted and parallelism.blocks is not None:
            units = _split(units, wanted)
        if parallelism.apart:
            files = itertools.groupby(units, key=lambda unit: unit[0].file)
            return [tuple(part for part, _, _ in group) for _, group in files]
        return _grouped(units, wanted)

    def _units(self, order: Sequence[int]) -> list[tuple[ParquetRead, int, int]]:
        """Row groups in order, each with its rows and bytes; whole files where the footer was not read."""
        units: list[tuple[ParquetRead, int, int]] = []
        for index in order:
            if index >= FOOTERS:
                units.append((ParquetRead(index, None), 1000, self.listing.files[index].size))
                continue
            footer = self._footers[index]
            if footer.damaged:
                units.append((ParquetRead(index, None), 0, 0))
            for group, (rows, size) in enumerate(zip(footer.group_rows, footer.group_bytes, strict=True)):
                units.append((ParquetRead(index, (group,)), rows, size))
        return units

    def read(self, params: tuple[ParquetRead, ...]) -> Iterator[pa.Table]:
        for part in _joined(params):
            path = self.listing.files[part.file].path
            try:
                yield retried(partial(self._read_part, part))
            except pa.ArrowInvalid as error:
                raise ValueError(f"Failed to read Parquet file: {path}: {error}") from error
            except OSError as error:
                if path in str(error):
                    raise
                raise OSError(f"Failed to read Parquet file: {path}: {error}") from error

    def _read_part(self, part: ParquetRead) -> pa.Table:
        import pyarrow.dataset as pads  # it imports pandas, where there is one

        file = self.listing.files[part.file]
        system = self.listing.filesystem
        options = pads.ParquetFragmentScanOptions(pre_buffer=not is_local(system))
        layout = pads.ParquetFileFormat(default_fragment_scan_options=options)
        fragment = layout.make_fragment(file.path, filesystem=system, row_groups=part.groups)
        known = fragment.physical_schema
        pushed = self._pushes(known.names, part.stop is not None)
        needed = set(self.schema().names)
        if self.predicate is not None and not pushed:
            needed |= self.predicate.columns()
        filters = [self.predicate.to_pyarrow()] if self.predicate is not None and pushed else []
        if self.arrow_filter is not None:
            filters.append(self.arrow_filter)
        there = [name for name in known.names if name in needed]
        scan = fragment.scanner(columns=there, filter=_and(filters), use_threads=False, schema=known)
        table = scan.to_table().replace_schema_metadata(None) if there else empty_rows(scan.count_rows())
        if part.stop is not None:
            table = table.slice(part.start, part.stop - part.start)
        table = self._completed(table, file, needed)
        if self.predicate is not None and not pushed:
            table = filtered(table, self.predicate)
        return table.select(self.schema().names)

    def _completed(self, table: pa.Table, file: SourceFile, needed: set[str]) -> pa.Table:
        """The table with partitions and path, and with nulls for what this file lacks."""
        values = self.partitioning.values(file) if self.partitioning is not None else {}
        table = with_partitions(table, {name: value for name, value in values.items() if name in needed})
        if self.include_paths and PATH_COLUMN in needed:
            table = table.append_column(PATH_COLUMN, pa.repeat(pa.scalar(file.path), table.num_rows))
        wanted = [name for name in self._whole_schema.names if name in needed]
        return conformed(table, pa.schema([self._whole_schema.field(name) for name in wanted]))

    def _pushes(self, there: Sequence[str], cut: bool) -> bool:
        """Whether the reader itself can filter: by columns of the file, with functions that Arrow has."""
        if self.predicate is None or cut or not self.predicate.columns() <= set(there):
            return False
        try:
            self.predicate.to_pyarrow()
        except NotImplementedError:
            return False
        return True

    def select(self, columns: Sequence[str]) -> RowSource:
        check_columns(columns, self._whole_schema.names)
        return self._changed(columns=tuple(columns))

    def where(self, predicate: Expr) -> RowSource | None:
        if self.columns is not None and not predicate.columns() <= set(self.columns):
            return None
        return self._changed(predicate=predicate if self.predicate is None else self.predicate & predicate)

    def first(self, rows: int) -> RowSource | None:
        """The first files that have so many rows."""
        if self.predicate is not None or self.arrow_filter is not None or self.shuffle is not None:
            return None
        count = 0
        for index, footer in enumerate(self._footers):
            count += sum(footer.group_rows)
            if count >= rows:
                narrow = replace(self, listing=FileListing(self.listing.filesystem, self.listing.files[: index + 1]))
                narrow.__dict__["_footers"] = self._footers[: index + 1]
                narrow.__dict__["_whole_schema"] = self._whole_schema
                return narrow
        return None

    @property
    def plain_paths(self) -> tuple[str, ...] | None:
        """The files, where these columns of them are all that is read: local, whole, and of one schema; else None."""
        extras = self.include_paths or any(part is not None for part in (self.given, self.arrow_filter, self.shuffle))
        if extras or not self._all_known or not is_local(self.listing.filesystem):
            return None
        first = self._footers[0] if self._footers else _Footer(damaged=True)
        if first.damaged or any(footer.schema != first.schema for footer in self._footers):
            return None
        if self.partitioning is not None and any(self.partitioning.values(file) for file in self.listing.files):
            return None
        return tuple(file.path for file in self.listing.files)

    def without_predicate(self) -> ParquetSource:
        """The same with all rows, and with the columns that the predicate reads."""
        if self.predicate is None or self.columns is None:
            return self._changed(predicate=None)
        more = sorted(self.predicate.columns() - set(self.columns))
        return self._changed(predicate=None, columns=(*self.columns, *more))

    def _changed(self, **changes: Any) -> ParquetSource:
        """The same files, of which what is known stays known."""
        found = replace(self, **changes)
        for name in ("_footers", "_whole_schema"):
            if name in self.__dict__:
                found.__dict__[name] = self.__dict__[name]
        return found

    def input_files(self) -> list[str]:
        return [file.path for file in self.listing.files]


def _and(filters: Sequence[Any]) -> Any:
    found = None
    for part in filters:
        found = part if found is None else found & part
    return found


def _split(units: list[tuple[ParquetRead, int, int]], count: int) -> list[tuple[ParquetRead, int, int]]:
    """Row groups cut by rows until there are about so many units."""
    pieces = -(-count // max(1, len(units)))
    found: list[tuple[ParquetRead, int, int]] = []
    for unit, rows, size in units:
        bounds = sorted({rows * index // pieces for index in range(pieces + 1)})
        for start, stop in itertools.pairwise(bounds):
            found.append((replace(unit, start=start, stop=stop), stop - start, size // pieces))
    return found


def _grouped(units: list[tuple[ParquetRead, int, int]], count: int) -> list[tuple[ParquetRead, ...]]:
    """Consecutive units in so many reads of about the same size."""
    total = sum(size for _, _, size in units) or 1
    found: list[list[ParquetRead]] = []
    done = 0
    for unit, _, size in units:
        place = min(count - 1, (done + size // 2) * count // total)
        if not found or place >= len(found):
            found.append([])
        found[-1].append(unit)
        done += size
    return [tuple(group) for group in found]


def _joined(parts: Sequence[ParquetRead]) -> Iterator[ParquetRead]:
    """Row groups of one file that follow each other are read together."""
    held: ParquetRead | None = None
    for part in parts:
        whole = part.stop is None and part.groups is not None
        if held is not None and whole and held.file == part.file and held.stop is None and held.groups is not None:
            held = replace(held, groups=held.groups + (part.groups or ()))
            continue
        if held is not None:
            yield held
        held = part
    if held is not None:
        yield held
