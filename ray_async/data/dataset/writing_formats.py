"""Writing of files whose formats are rarer, or need a library of their own."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from typing import Any, TypedDict, Unpack

from ray_async.data.dataset.writing import Writing
from ray_async.data.plan.columns import check_columns
from ray_async.data.sinks.arrow_ipc import ArrowFormat
from ray_async.data.sinks.avro import AvroFormat
from ray_async.data.sinks.filename_provider import FilenameProvider
from ray_async.data.sinks.files import FileFormat
from ray_async.data.sinks.images import ImageFormat
from ray_async.data.sinks.orc import ORCFormat
from ray_async.data.sinks.save_mode import SaveMode
from ray_async.data.sinks.tfrecords import TFRecordFormat
from ray_async.data.sinks.webdataset import WebDatasetFormat
from ray_async.data.sources.optional import check_installed
from ray_async.data.unused import note_unused
from ray_async.suggestion import did_you_mean

__all__ = ("WriteOptions", "WritingFormats")

Folder = str | os.PathLike[str]


class WriteOptions(TypedDict, total=False):
    """Options of methods that write folders of files, as `Writing` describes them."""

    filesystem: Any
    try_create_dir: bool
    filename_provider: FilenameProvider | None
    min_rows_per_file: int | None
    max_rows_per_file: int | None
    ray_remote_args: Mapping[str, Any] | None
    concurrency: int | None
    mode: SaveMode | str


class WritingFormats(Writing):
    """Methods that write; what they have in common is said at `Writing`."""

    def write_arrow(
        self, path: Folder, *, arrow_ipc_args: Mapping[str, Any] | None = None, **options: Unpack[WriteOptions]
    ) -> None:
        """Write files in Arrow's file format, also called Feather.

        Args:
            arrow_ipc_args: options of `pyarrow.ipc.IpcWriteOptions`, for instance ``{"compression": "zstd"}``.

        Raises:
            TypeError: A column holds Python objects.
        """
        self._write_format(path, ArrowFormat(dict(arrow_ipc_args or {})), options)

    def write_orc(
        self,
        path: Folder,
        *,
        filesystem: Any = None,
        try_create_dir: bool = True,
        filename_provider: FilenameProvider | None = None,
        arrow_orc_args_fn: Callable[[], Mapping[str, Any]] | None = None,
        min_rows_per_file: int | None = None,
        max_rows_per_file: int | None = None,
        ray_remote_args: Mapping[str, Any] | None = None,
        concurrency: int | None = None,
        mode: SaveMode | str = SaveMode.APPEND,
        **arrow_orc_args: Any,
    ) -> None:
        """Write ORC files.

        Args:
            arrow_orc_args_fn: gives further options of `pyarrow.orc.write_table` in the workers.
            arrow_orc_args: options of `pyarrow.orc.write_table`.

        Raises:
            TypeError: A column has no form in ORC, for instance tensors and unsigned integers.
        """
        self._write_files(
            path,
            ORCFormat(arrow_orc_args, arrow_orc_args_fn),
            filesystem,
            try_create_dir,
            filename_provider,
            min_rows_per_file,
            max_rows_per_file,
            ray_remote_args,
            concurrency,
            mode,
        )

    def write_avro(self, path: Folder, *, codec: str = "deflate", **options: Unpack[WriteOptions]) -> None:
        """Write Avro files.

        Args:
            codec: how blocks are compressed: "null", "deflate", or another one that fastavro finds.

        Raises:
            ImportError: fastavro is not installed.
            TypeError: A column has no form in Avro.
        """
        check_installed("fastavro", "fastavro", "write_avro")
        self._write_format(path, AvroFormat(codec), options)

    def write_tfrecords(self, path: Folder, *, tf_schema: Any = None, **options: Unpack[WriteOptions]) -> None:
        """Write TFRecord files, without TensorFlow: a ``tf.train.Example`` for each row.

        Integers have 64 bits, floats 32; texts become bytes, tensors lists.

        Args:
            tf_schema: accepted; the columns' types say what becomes of them.

        Raises:
            ImportError: protobuf or google-crc32c is not installed.
            TypeError: A column has no form there, for instance times and structs.
        """
        note_unused("write_tfrecords", "the columns' types say what becomes of them", tf_schema=tf_schema)
        check_installed("google_crc32c", "google-crc32c", "write_tfrecords")
        self._write_format(path, TFRecordFormat(), options)

    def write_webdataset(self, path: Folder, *, encoder: Any = True, **options: Unpack[WriteOptions]) -> None:
        """Write tar files, with a member for each value: ``<key>.<column>``.

        Args:
            encoder: True encodes values by their columns' endings, as `read_webdataset` decodes them; a function takes
                and returns a row; several of these in a list. None takes bytes and texts alone.

        Raises:
            TypeError: An ending says nothing of the values, or a column holds Python objects.
        """
        self._write_format(path, WebDatasetFormat(encoder), options)

    def write_images(
        self,
        path: Folder,
        column: str,
        file_format: str = "png",
        *,
        filesystem: Any = None,
        try_create_dir: bool = True,
        filename_provider: FilenameProvider | None = None,
        ray_remote_args: Mapping[str, Any] | None = None,
        concurrency: int | None = None,
        mode: SaveMode | str = SaveMode.APPEND,
    ) -> None:
        """Write a picture for each row.

        Args:
            column: the column of arrays of height, width and, for colours, channels.
            file_format: ending of the files, which names the format.

        Raises:
            ImportError: Pillow is not installed.
            UnknownColumnError: There is no such column.
            TypeError: It has no arrays.
            ValueError: An array is no picture.
        """
        check_installed("PIL", "pillow", "write_images")
        check_columns([column], self._columns())
        self._write_files(
            path,
            ImageFormat(column, file_format),
            filesystem,
            try_create_dir,
            filename_provider,
            None,
            None,
            ray_remote_args,
            concurrency,
            mode,
            row_files=True,
        )

    def _write_format(self, path: Folder, format: FileFormat, options: WriteOptions) -> None:
        unknown = sorted(set(options) - set(WriteOptions.__annotations__))
        if unknown:
            near = did_you_mean(unknown[0], WriteOptions.__annotations__)
            raise TypeError(f"unexpected keyword argument {unknown[0]!r}.{near}")
        self._write_files(
            path,
            format,
            options.get("filesystem"),
            options.get("try_create_dir", True),
            options.get("filename_provider"),
            options.get("min_rows_per_file"),
            options.get("max_rows_per_file"),
            options.get("ray_remote_args"),
            options.get("concurrency"),
            options.get("mode", SaveMode.APPEND),
        )
