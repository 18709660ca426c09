"""Writing: methods that run a dataset and put its rows somewhere."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import pyarrow as pa

from ray_async.data.dataset.consuming import Consuming
from ray_async.data.executor.blocks import tables_of_bundles
from ray_async.data.executor.execution import Execution
from ray_async.data.operators.writing import receipts_and_schemas
from ray_async.data.plan import nodes
from ray_async.data.plan.columns import check_columns
from ray_async.data.sinks.base import RowSink
from ray_async.data.sinks.csv import CSVFormat
from ray_async.data.sinks.datasink import Datasink, DatasinkSink
from ray_async.data.sinks.filename_provider import FilenameProvider
from ray_async.data.sinks.files import FileFormat, FileSink
from ray_async.data.sinks.json import JSONFormat
from ray_async.data.sinks.numpy import NumpyFormat
from ray_async.data.sinks.parquet import ParquetFormat
from ray_async.data.sinks.save_mode import SaveMode

__all__ = ("Writing",)


class Writing(Consuming):
    """Methods that write. They have in common:

    Args:
        path: a folder, or its URI; its files are named after the write, one for each block.
        filesystem: of pyarrow's or fsspec's; by default the one that the path names.
        try_create_dir: whether to make the folder.
        filename_provider: names the files.
        min_rows_per_file: rows that a file has at least, where there are that many.
        max_rows_per_file: rows that a file has at most.
        mode: if the folder exists, "append" to it, "overwrite" what is in it, "ignore" the write, or raise an "error".
        concurrency: files that are written at a time.
        ray_remote_args: options of the tasks.

    What is written becomes visible once all of it is there. A dataset may overwrite the folder that it reads.

    Raises:
        ValueError: The folder exists, and ``mode`` is "error" or "create".
    """

    def write_parquet(
        self,
        path: str | os.PathLike[str],
        *,
        partition_cols: Sequence[str] | None = None,
        filesystem: Any = None,
        try_create_dir: bool = True,
        filename_provider: FilenameProvider | None = None,
        arrow_parquet_args_fn: Callable[[], Mapping[str, Any]] | None = None,
        min_rows_per_file: int | None = None,
        max_rows_per_file: int | None = None,
        ray_remote_args: Mapping[str, Any] | None = None,
        concurrency: int | None = None,
        mode: SaveMode | str = SaveMode.APPEND,
        **arrow_parquet_args: Any,
    ) -> None:
        """Write Parquet files.

        Args:
            partition_cols: columns whose values become folders, as ``year=2024``.
            arrow_parquet_args_fn: gives further options of `pyarrow.parquet.write_table` in the workers.
            arrow_parquet_args: options of `pyarrow.parquet.write_table`.
        """
        self._write_files(
            path,
            ParquetFormat(arrow_parquet_args, arrow_parquet_args_fn),
            filesystem,
            try_create_dir,
            filename_provider,
            min_rows_per_file,
            max_rows_per_file,
            ray_remote_args,
            concurrency,
            mode,
            partition_cols,
        )

    def write_csv(
        self,
        path: str | os.PathLike[str],
        *,
        filesystem: Any = None,
        try_create_dir: bool = True,
        filename_provider: FilenameProvider | None = None,
        arrow_csv_args_fn: Callable[[], Mapping[str, Any]] | None = None,
        min_rows_per_file: int | None = None,
        max_rows_per_file: int | None = None,
        ray_remote_args: Mapping[str, Any] | None = None,
        concurrency: int | None = None,
        mode: SaveMode | str = SaveMode.APPEND,
        **arrow_csv_args: Any,
    ) -> None:
        """Write CSV files.

        Args:
            arrow_csv_args: options of `pyarrow.csv.write_csv`.
        """
        self._write_files(
            path,
            CSVFormat(arrow_csv_args, arrow_csv_args_fn),
            filesystem,
            try_create_dir,
            filename_provider,
            min_rows_per_file,
            max_rows_per_file,
            ray_remote_args,
            concurrency,
            mode,
        )

    def write_json(
        self,
        path: str | os.PathLike[str],
        *,
        filesystem: Any = None,
        try_create_dir: bool = True,
        filename_provider: FilenameProvider | None = None,
        min_rows_per_file: int | None = None,
        max_rows_per_file: int | None = None,
        ray_remote_args: Mapping[str, Any] | None = None,
        concurrency: int | None = None,
        mode: SaveMode | str = SaveMode.APPEND,
    ) -> None:
        """Write JSON files, an object in each line. Numbers are written exactly, times in ISO's format; NaN and
        infinity become null.

        Raises:
            TypeError: A column has no form in JSON, for instance bytes.
        """
        self._write_files(
            path,
            JSONFormat(),
            filesystem,
            try_create_dir,
            filename_provider,
            min_rows_per_file,
            max_rows_per_file,
            ray_remote_args,
            concurrency,
            mode,
        )

    def write_numpy(
        self,
        path: str | os.PathLike[str],
        *,
        column: str,
        filesystem: Any = None,
        try_create_dir: bool = True,
        filename_provider: FilenameProvider | None = None,
        min_rows_per_file: int | None = None,
        max_rows_per_file: int | None = None,
        ray_remote_args: Mapping[str, Any] | None = None,
        concurrency: int | None = None,
        mode: SaveMode | str = SaveMode.APPEND,
    ) -> None:
        """Write a column to NumPy files.

        Args:
            column: the column.
        """
        check_columns([column], self._columns())
        self._write_files(
            path,
            NumpyFormat(column),
            filesystem,
            try_create_dir,
            filename_provider,
            min_rows_per_file,
            max_rows_per_file,
            ray_remote_args,
            concurrency,
            mode,
        )

    def write_datasink(
        self, datasink: Datasink, *, ray_remote_args: Mapping[str, Any] | None = None, concurrency: int | None = None
    ) -> None:
        """Write to a sink of the user's own.

        Args:
            datasink: the sink.
            ray_remote_args: options of the tasks.
            concurrency: calls that write at a time.

        Raises:
            TypeError: It is none.
        """
        if not isinstance(datasink, Datasink):
            raise TypeError(f"write_datasink expects a Datasink, but got {type(datasink).__name__}")
        self._write(DatasinkSink(datasink), datasink.min_rows_per_write, ray_remote_args, concurrency)

    def _write_files(
        self,
        path: str | os.PathLike[str],
        format: FileFormat,
        filesystem: Any,
        try_create_dir: bool,
        filename_provider: FilenameProvider | None,
        min_rows: int | None,
        max_rows: int | None,
        options: Mapping[str, Any] | None,
        concurrency: int | None,
        mode: SaveMode | str,
        partition_columns: Sequence[str] | None = None,
        *,
        row_files: bool = False,
    ) -> None:
        for name, number in (("min_rows_per_file", min_rows), ("max_rows_per_file", max_rows)):
            if number is not None and number < 1:
                raise ValueError(f"{name} must be positive, but is {number}")
        if min_rows is not None and max_rows is not None and min_rows > max_rows:
            raise ValueError(f"min_rows_per_file ({min_rows}) must not exceed max_rows_per_file ({max_rows})")
        check_columns(partition_columns or (), self._columns())
        sink = FileSink(
            os.fspath(path),
            format,
            filesystem,
            SaveMode(mode),
            tuple(partition_columns or ()),
            max_rows,
            try_create_dir,
            filename_provider or FilenameProvider(),
            row_files,
        )
        self._write(sink, min_rows, options, concurrency)

    def _write(
        self,
        sink: RowSink,
        least_rows: int | None = None,
        options: Mapping[str, Any] | None = None,
        concurrency: int | None = None,
    ) -> None:
        """Run the dataset into a sink; its count and its schema are known afterwards."""
        known = self._known.schema or self._node.schema()
        if known is not None and isinstance(sink, FileSink):
            sink.format.check(known)
        if not sink.prepare():
            return
        execution = self._write_execution(sink, least_rows, options, concurrency)
        try:
            receipts, schemas = receipts_and_schemas(tables_of_bundles(execution.all()))
            self._known.written = schemas
            schema = known if known is not None or receipts else self._schema_of_nothing()
            sink.commit(receipts, schema)
        except BaseException as error:
            sink.abort(error)
            raise
        self._known.count = sum(receipt["rows"] for receipt in receipts)

    def _write_execution(
        self, sink: RowSink, least_rows: int | None, options: Mapping[str, Any] | None, concurrency: int | None
    ) -> Execution:
        from ray_async.data.compute import Resources, TaskPoolStrategy

        given = Resources(TaskPoolStrategy(concurrency) if concurrency else None, dict(options or {}))
        resources = given if concurrency or options else None
        return self._execution(nodes.Write(self._node, sink, least_rows, resources))

    def _schema_of_nothing(self) -> pa.Schema | None:
        """The columns of a result without rows: those of what calls were given, or else another run tells."""
        schema = self.schema()
        self._known.schema = None if schema is None else schema.base_schema
        return self._known.schema
