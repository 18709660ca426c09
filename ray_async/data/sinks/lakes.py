"""Table formats with a log of versions: Delta, Iceberg and Lance. A write is one new version."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ray_async.data.sinks.save_mode import SaveMode
from ray_async.data.sinks.tables import RowStream, TableSink
from ray_async.data.sources.iceberg import iceberg_table
from ray_async.data.sources.optional import library

__all__ = ("DeltaSink", "IcebergSink", "LanceSink")


@dataclass(frozen=True)
class DeltaSink(TableSink):
    """A Delta Lake table.

    Attributes:
        path: its folder, or its URI.
        mode: what to do if it exists.
        options: further ones of `deltalake.write_deltalake`.
    """

    path: str
    mode: SaveMode = SaveMode.APPEND
    options: Mapping[str, Any] = field(default_factory=dict)
    name = "WriteDelta"

    def write(self, rows: RowStream) -> None:
        delta = library("deltalake", "deltalake", "write_delta")
        mode = "error" if self.mode is SaveMode.CREATE else str(self.mode)
        delta.write_deltalake(self.path, rows.batches(), mode=mode, **self.options)


@dataclass(frozen=True)
class LanceSink(TableSink):
    """A Lance dataset.

    Attributes:
        uri: where it is.
        mode: what to do if it exists.
        options: further ones of `lance.write_dataset`.
    """

    uri: str
    mode: SaveMode = SaveMode.CREATE
    options: Mapping[str, Any] = field(default_factory=dict)
    name = "WriteLance"

    def write(self, rows: RowStream) -> None:
        lance = library("lance", "pylance", "write_lance")
        mode = "create" if self.mode is SaveMode.ERROR else str(self.mode)
        lance.write_dataset(rows.batches(), self.uri, mode=mode, **self.options)


@dataclass(frozen=True)
class IcebergSink(TableSink):
    """An Iceberg table, which exists.

    Attributes:
        identifier: its name in the catalog.
        mode: append or overwrite.
        overwrite_filter: which rows are overwritten; None: all.
        catalog_options: of `pyiceberg.catalog.load_catalog`.
        snapshot_properties: kept with the snapshot.
    """

    identifier: str
    mode: SaveMode = SaveMode.APPEND
    overwrite_filter: Any = None
    catalog_options: Mapping[str, Any] = field(default_factory=dict)
    snapshot_properties: Mapping[str, str] = field(default_factory=dict)
    name = "WriteIceberg"

    def write(self, rows: RowStream) -> None:
        options: dict[str, Any] = {"snapshot_properties": dict(self.snapshot_properties)}
        with iceberg_table(self.identifier, self.catalog_options, "write_iceberg") as table:
            if self.mode is not SaveMode.OVERWRITE:
                table.append(rows.batches(), **options)
                return
            if self.overwrite_filter is not None:
                options["overwrite_filter"] = self.overwrite_filter
            table.overwrite(rows.batches(), **options)
