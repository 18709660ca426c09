"""Writing of databases and of table formats with a log: all rows in one transaction."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ray_async.data.dataset.consuming import Consuming
from ray_async.data.sinks.lakes import DeltaSink, IcebergSink, LanceSink
from ray_async.data.sinks.mongo import MongoSink
from ray_async.data.sinks.save_mode import SaveMode
from ray_async.data.sinks.sql import SQLSink
from ray_async.data.sinks.tables import RowStream, TableSink
from ray_async.data.sources.optional import check_installed
from ray_async.data.unused import ONE_WRITER, note_unused

__all__ = ("WritingTables",)


class WritingTables(Consuming):
    """Methods that write all rows in one transaction, in the calling process: all become visible, or none.

    They have in common: ``ray_remote_args`` and ``concurrency`` are accepted and have no effect, since a transaction
    has one writer. A TypeError says if a later block's columns do not fit those of the first.
    """

    def write_sql(
        self,
        sql: str,
        connection_factory: Callable[[], Any],
        ray_remote_args: Mapping[str, Any] | None = None,
        concurrency: int | None = None,
    ) -> None:
        """Execute a statement for each row.

        Args:
            sql: such as ``"INSERT INTO movie VALUES (?, ?)"``, with a placeholder for each column, in their order.
            connection_factory: makes a connection of Python's DB-API, or of ADBC.

        Raises:
            Exception: What the database raises; nothing is written then.
        """
        note_unused("write_sql", ONE_WRITER, concurrency=concurrency, ray_remote_args=ray_remote_args)
        self._write_table(SQLSink(sql, connection_factory))

    def write_delta(
        self,
        path: str | os.PathLike[str],
        *,
        mode: SaveMode | str = SaveMode.APPEND,
        partition_by: Sequence[str] | None = None,
        storage_options: Mapping[str, str] | None = None,
        schema_mode: str | None = "merge",
        name: str | None = None,
        description: str | None = None,
        ray_remote_args: Mapping[str, Any] | None = None,
        concurrency: int | None = None,
    ) -> None:
        """Write a Delta Lake table, as one version.

        Args:
            path: its folder, or its URI.
            mode: if it exists, "append", "overwrite", "ignore", or raise an "error".
            partition_by: columns whose values become folders.
            storage_options: of deltalake.
            schema_mode: "merge" takes new columns into the table; None refuses them; "overwrite" replaces all.
            name: of a new table.
            description: of a new table.

        Raises:
            ImportError: deltalake is not installed.
        """
        note_unused("write_delta", ONE_WRITER, concurrency=concurrency, ray_remote_args=ray_remote_args)
        check_installed("deltalake", "deltalake", "write_delta")
        given = {
            "partition_by": None if partition_by is None else list(partition_by),
            "storage_options": None if storage_options is None else dict(storage_options),
            "schema_mode": schema_mode,
            "name": name,
            "description": description,
        }
        options = {option: value for option, value in given.items() if value is not None}
        self._write_table(DeltaSink(os.fspath(path), SaveMode(mode), options))

    def write_lance(
        self,
        path: str | os.PathLike[str],
        *,
        schema: Any = None,
        mode: SaveMode | str = SaveMode.CREATE,
        min_rows_per_file: int | None = None,
        max_rows_per_file: int = 64 << 20,
        data_storage_version: str | None = None,
        storage_options: Mapping[str, str] | None = None,
        ray_remote_args: Mapping[str, Any] | None = None,
        concurrency: int | None = None,
    ) -> None:
        """Write a Lance dataset, as one version.

        Args:
            path: where it is, or its URI.
            schema: the Arrow schema; by default the dataset's.
            mode: if it exists, raise an error ("create"), "append" or "overwrite".
            min_rows_per_file: accepted.
            max_rows_per_file: rows of a file at most.
            data_storage_version: of Lance's format.
            storage_options: of Lance.

        Raises:
            ImportError: pylance is not installed.
            ValueError: The mode is none of these.
            OSError: It exists, and the mode is "create".
        """
        note_unused("write_lance", ONE_WRITER, concurrency=concurrency, ray_remote_args=ray_remote_args)
        note_unused("write_lance", "rows are not held back for larger files", min_rows_per_file=min_rows_per_file)
        check_installed("lance", "pylance", "write_lance")
        if SaveMode(mode) is SaveMode.IGNORE:
            raise ValueError("write_lance has the modes create, append and overwrite")
        given = {
            "max_rows_per_file": max_rows_per_file,
            "data_storage_version": data_storage_version,
            "storage_options": None if storage_options is None else dict(storage_options),
        }
        options = {option: value for option, value in given.items() if value is not None}
        self._write_table(LanceSink(os.fspath(path), SaveMode(mode), options), schema)

    def write_iceberg(
        self,
        table_identifier: str,
        catalog_kwargs: Mapping[str, Any] | None = None,
        *,
        snapshot_properties: Mapping[str, str] | None = None,
        mode: SaveMode | str = SaveMode.APPEND,
        overwrite_filter: Any = None,
        ray_remote_args: Mapping[str, Any] | None = None,
        concurrency: int | None = None,
    ) -> None:
        """Write to an Iceberg table that exists, as one snapshot.

        Args:
            table_identifier: its name, as ``"database.table"``.
            catalog_kwargs: options of `pyiceberg.catalog.load_catalog`, ``name`` among them.
            snapshot_properties: kept with the snapshot.
            mode: "append", or "overwrite".
            overwrite_filter: which rows are overwritten, an expression of PyIceberg's; None: all.

        Raises:
            ImportError: PyIceberg is not installed.
            ValueError: The mode is none of these.
            pyiceberg.exceptions.NoSuchTableError: There is no table.
        """
        note_unused("write_iceberg", ONE_WRITER, concurrency=concurrency, ray_remote_args=ray_remote_args)
        check_installed("pyiceberg", "pyiceberg", "write_iceberg")
        if SaveMode(mode) not in (SaveMode.APPEND, SaveMode.OVERWRITE):
            raise ValueError("write_iceberg has the modes append and overwrite")
        sink = IcebergSink(
            table_identifier, SaveMode(mode), overwrite_filter, catalog_kwargs or {}, snapshot_properties or {}
        )
        self._write_table(sink)

    def write_mongo(
        self,
        uri: str,
        database: str,
        collection: str,
        ray_remote_args: Mapping[str, Any] | None = None,
        concurrency: int | None = None,
    ) -> None:
        """Insert a document for each row into a collection of MongoDB. What a failed write has put is removed.

        Args:
            uri: of the server.
            database: the database.
            collection: the collection.

        Raises:
            ImportError: PyMongo is not installed.
        """
        note_unused("write_mongo", ONE_WRITER, concurrency=concurrency, ray_remote_args=ray_remote_args)
        check_installed("pymongo", "pymongo", "write_mongo")
        self._write_table(MongoSink(uri, database, collection))

    def _write_table(self, sink: TableSink, schema: Any = None) -> None:
        known = schema if schema is not None else self._known.schema or self._node.schema()
        rows = RowStream(self._tables(), known)
        sink.write(rows)
        self._known.count = rows.rows
