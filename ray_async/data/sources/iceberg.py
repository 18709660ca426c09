"""Iceberg tables, by PyIceberg."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import pyarrow as pa

from ray_async.data.sources.base import Parallelism, RowSource
from ray_async.data.sources.optional import library

__all__ = ("IcebergSource", "iceberg_table")


@dataclass(frozen=True)
class IcebergSource(RowSource):
    """A scan of one snapshot of a table.

    Attributes:
        identifier: the table's name in the catalog.
        row_filter: of rows to keep: an expression of PyIceberg's, or a text of one; None keeps all.
        fields: columns to read; ("*",) for all.
        snapshot: the snapshot's number; None for a table without one.
        catalog_options: of `pyiceberg.catalog.load_catalog`.
        scan_options: further ones of `Table.scan`.
    """

    identifier: str
    row_filter: Any = None
    fields: tuple[str, ...] = ("*",)
    snapshot: int | None = None
    catalog_options: Mapping[str, Any] = field(default_factory=dict)
    scan_options: Mapping[str, Any] = field(default_factory=dict)
    name = "Iceberg"

    @cached_property
    def _table(self) -> Any:
        with iceberg_table(self.identifier, self.catalog_options, "read_iceberg") as table:
            return table  # its files are read without the catalog

    @cached_property
    def _scan(self) -> Any:
        options = dict(self.scan_options)
        if self.row_filter is not None:
            options["row_filter"] = self.row_filter
        return self._table.scan(selected_fields=self.fields, snapshot_id=self.snapshot, **options)

    @cached_property
    def _tasks(self) -> list[Any]:
        return list(self._scan.plan_files())

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in self.__dict__.items() if name not in ("_table", "_scan", "_tasks")}

    def schema(self) -> pa.Schema:
        convert = library("pyiceberg.io.pyarrow", "pyiceberg", "read_iceberg").schema_to_pyarrow
        return convert(self._scan.projection(), include_field_ids=False)

    def count(self) -> int | None:
        exact = self.row_filter is None and not any(task.delete_files for task in self._tasks)
        return sum(task.file.record_count for task in self._tasks) if exact else None

    def size(self) -> int:
        return int(3 * sum(task.file.file_size_in_bytes for task in self._tasks))

    def reads(self, parallelism: Parallelism) -> Sequence[tuple[Any, tuple[Any, ...]]]:
        tasks = self._tasks
        count = max(1, min(len(tasks), parallelism.count(len(tasks), self.size())))
        bounds = [len(tasks) * index // count for index in range(count + 1)]
        state = (self._table.metadata, self._table.io, self._scan.projection(), self._scan.row_filter)
        return [(state, tuple(tasks[bounds[index] : bounds[index + 1]])) for index in range(count)]

    def read(self, params: tuple[Any, tuple[Any, ...]]) -> Iterator[pa.Table]:
        (metadata, files, projection, condition), tasks = params
        arrow = library("pyiceberg.io.pyarrow", "pyiceberg", "read_iceberg")
        case = bool(self.scan_options.get("case_sensitive", True))
        for task in tasks:
            scan = arrow.ArrowScan(metadata, files, projection, condition, case_sensitive=case)
            yield scan.to_table([task]).replace_schema_metadata(None)

    def input_files(self) -> list[str]:
        return [task.file.file_path for task in self._tasks]


@contextmanager
def iceberg_table(identifier: str, options: Mapping[str, Any], user: str) -> Iterator[Any]:
    """A table of a catalog; the catalog is closed at the end."""
    given = dict(options)
    load = library("pyiceberg.catalog", "pyiceberg", user).load_catalog
    with closing(load(given.pop("name", "default"), **given)) as catalog:
        yield catalog.load_table(identifier)
