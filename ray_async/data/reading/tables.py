"""Datasets of databases and of table formats with a log."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Unpack

from ray_async.data.dataset.dataset import Dataset
from ray_async.data.plan.columns import check_columns
from ray_async.data.reading.options import ReadOptions, dataset_of_source
from ray_async.data.sources.delta import DeltaSource
from ray_async.data.sources.iceberg import IcebergSource
from ray_async.data.sources.lance import LanceSource
from ray_async.data.sources.mongo import MongoSource
from ray_async.data.sources.optional import check_installed, library
from ray_async.data.sources.sql import SQLSource

__all__ = ("read_delta", "read_iceberg", "read_lance", "read_mongo", "read_sql")


def read_sql(
    sql: str,
    connection_factory: Callable[[], Any],
    *,
    sql_params: Sequence[Any] | Mapping[str, Any] | None = None,
    shard_keys: Sequence[str] | None = None,
    shard_hash_fn: str = "MD5",
    **options: Unpack[ReadOptions],
) -> Dataset:
    """Rows that a query gives.

    Args:
        sql: the query.
        connection_factory: makes a connection of Python's DB-API, or of ADBC (faster, and with the database's types).
            It is called in the worker that reads.
        sql_params: parameters of the query.
        shard_keys: columns by whose hash the rows are split among several queries; without them there is one query.
        shard_hash_fn: the database's function for it, from a text to a number.
        options: as `ReadOptions` describes them.

    Raises:
        Exception: When it is run, what the database raises, with the query.
        ValueError: Two columns of the result have the same name.

    Example:
        >>> ds = ray.data.read_sql("SELECT * FROM movie WHERE year > ?", connect, sql_params=[1980])
    """
    if not callable(connection_factory):
        raise TypeError(f"connection_factory must be a function, but is {type(connection_factory).__name__}")
    source = SQLSource(sql, connection_factory, sql_params, tuple(shard_keys or ()), shard_hash_fn)
    return dataset_of_source(source, **options)


def read_delta(
    path: str | os.PathLike[str],
    version: int | None = None,
    *,
    storage_options: Mapping[str, str] | None = None,
    columns: Sequence[str] | None = None,
    **options: Unpack[ReadOptions],
) -> Dataset:
    """Rows of a Delta Lake table.

    Args:
        path: its folder, or its URI.
        version: the version; by default the latest one at this call.
        storage_options: of deltalake.
        columns: columns to read.
        options: as `ReadOptions` describes them.

    Raises:
        ImportError: deltalake is not installed.
        deltalake.exceptions.TableNotFoundError: There is no table.
    """
    table = library("deltalake", "deltalake", "read_delta").DeltaTable(
        os.fspath(path), version=version, storage_options=None if storage_options is None else dict(storage_options)
    )
    source = DeltaSource(os.fspath(path), table.version(), storage_options)
    return dataset_of_source(source if columns is None else source.select(columns), **options)


def read_lance(
    uri: str | os.PathLike[str],
    *,
    version: int | str | None = None,
    columns: Sequence[str] | None = None,
    filter: str | None = None,
    storage_options: Mapping[str, str] | None = None,
    scanner_options: Mapping[str, Any] | None = None,
    **options: Unpack[ReadOptions],
) -> Dataset:
    """Rows of a Lance dataset.

    Args:
        uri: where it is.
        version: the version or its tag; by default the latest one at this call.
        columns: columns to read.
        filter: a condition of SQL for the rows.
        storage_options: of Lance.
        scanner_options: of Lance's scanner.
        options: as `ReadOptions` describes them.

    Raises:
        ImportError: pylance is not installed.
        ValueError: There is no dataset.
    """
    storage = None if storage_options is None else dict(storage_options)
    found = library("lance", "pylance", "read_lance").dataset(os.fspath(uri), version=version, storage_options=storage)
    if columns is not None:
        check_columns(columns, found.schema.names)
    source = LanceSource(
        os.fspath(uri),
        found.version,
        None if columns is None else tuple(columns),
        filter,
        storage,
        scanner_options or {},
    )
    return dataset_of_source(source, **options)


def read_iceberg(
    *,
    table_identifier: str,
    row_filter: Any = None,
    selected_fields: Sequence[str] = ("*",),
    snapshot_id: int | None = None,
    scan_kwargs: Mapping[str, Any] | None = None,
    catalog_kwargs: Mapping[str, Any] | None = None,
    **options: Unpack[ReadOptions],
) -> Dataset:
    """Rows of an Iceberg table.

    Args:
        table_identifier: its name, as ``"database.table"``.
        row_filter: a condition for the rows: an expression of PyIceberg's, or a text of one.
        selected_fields: columns to read.
        snapshot_id: the snapshot; by default the latest one at this call.
        scan_kwargs: further options of `pyiceberg.table.Table.scan`.
        catalog_kwargs: options of `pyiceberg.catalog.load_catalog`, ``name`` among them.
        options: as `ReadOptions` describes them.

    Raises:
        ImportError: PyIceberg is not installed.
        pyiceberg.exceptions.NoSuchTableError: There is no table.
    """
    check_installed("pyiceberg", "pyiceberg", "read_iceberg")
    source = IcebergSource(
        table_identifier, row_filter, tuple(selected_fields), snapshot_id, catalog_kwargs or {}, scan_kwargs or {}
    )
    source.schema()  # what is wrong is told here, and not when the dataset is run
    return dataset_of_source(source, **options)


def read_mongo(
    uri: str,
    database: str,
    collection: str,
    *,
    pipeline: Sequence[Mapping[str, Any]] | None = None,
    schema: Any = None,
    parallelism: int = -1,
    override_num_blocks: int | None = None,
    concurrency: int | None = None,
    ray_remote_args: Mapping[str, Any] | None = None,
    **mongo_args: Any,
) -> Dataset:
    """Documents of a collection of MongoDB. Ids become texts.

    Args:
        uri: of the server.
        database: the database.
        collection: the collection.
        pipeline: stages of an aggregation; by default all documents as they are.
        schema: the Arrow schema of the rows; by default what the documents have.
        mongo_args: options of `pymongo.collection.Collection.aggregate`.

    Raises:
        ImportError: PyMongo is not installed.
    """
    check_installed("pymongo", "pymongo", "read_mongo")
    source = MongoSource(uri, database, collection, tuple(pipeline or ()), schema, mongo_args)
    return dataset_of_source(
        source,
        parallelism=parallelism,
        override_num_blocks=override_num_blocks,
        concurrency=concurrency,
        ray_remote_args=ray_remote_args,
    )
