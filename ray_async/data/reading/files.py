"""Datasets of files."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ray_async.data.context import DataContext
from ray_async.data.dataset.dataset import Dataset
from ray_async.data.expressions.expr import Expr
from ray_async.data.reading.options import RESOURCES, Paths, dataset_of_files, dataset_of_source
from ray_async.data.sources.arrays import ImageReadFormat, NumpyReadFormat
from ray_async.data.sources.base import RowSource
from ray_async.data.sources.csv import CSVReadFormat
from ray_async.data.sources.datasource import Datasource, DatasourceSource
from ray_async.data.sources.file_order import shuffle_of
from ray_async.data.sources.files import ReadFormat
from ray_async.data.sources.json import JSONReadFormat
from ray_async.data.sources.listing import listed_files
from ray_async.data.sources.parquet import ParquetSource
from ray_async.data.sources.partitioning import Partitioning
from ray_async.data.sources.texts import BinaryReadFormat, TextReadFormat
from ray_async.data.unused import note_unused

__all__ = (
    "read_binary_files",
    "read_csv",
    "read_datasource",
    "read_images",
    "read_json",
    "read_numpy",
    "read_parquet",
    "read_text",
)


def read_parquet(
    paths: Paths,
    *,
    filesystem: Any = None,
    columns: Sequence[str] | None = None,
    partition_filter: Callable[[list[str]], list[str]] | None = None,
    partitioning: Partitioning | None = Partitioning("hive"),  # noqa: B008 - a constant
    include_paths: bool = False,
    file_extensions: Sequence[str] | None = ("parquet",),
    ignore_missing_paths: bool = False,
    filter: Any = None,
    schema: Any = None,
    parallelism: int = -1,
    override_num_blocks: int | None = None,
    concurrency: int | None = None,
    ray_remote_args: Mapping[str, Any] | None = None,
    **options: Any,
) -> Dataset:
    """Rows of Parquet files, in the order of the paths. Columns and filters that follow are read by need alone.

    Args:
        paths: files, folders with all that is in them, patterns such as ``data/*.parquet``, or URIs.
        filesystem: of pyarrow's or fsspec's; by default the one that the paths name.
        columns: columns to read.
        partition_filter: given paths, returns those to read.
        partitioning: how folders name values, which become columns of texts; None: they do not.
        include_paths: whether to add a column ``path``.
        file_extensions: endings of files that are read out of folders; None: all.
        ignore_missing_paths: whether paths that do not exist are passed over.
        filter: an expression, of `ray_async.data.expressions` or pyarrow's; only rows for which it is true are read.
        schema: an Arrow schema to read instead of the files' own.
        override_num_blocks: blocks.
        concurrency: reads at a time.
        options: ``shuffle``, as for other readers of files; ``num_cpus`` and other resources of the reads.

    Raises:
        FileNotFoundError: A path does not exist.
        ValueError: There is no file, or one is no Parquet file.
        UnknownColumnError: No file has one of the columns.
        TypeError: The files' columns have types that do not fit together, or an unknown argument.

    Example:
        >>> ds = ray.data.read_parquet("s3://bucket/data/", columns=["text"])
    """
    shuffle = shuffle_of(options.pop("shuffle", None))
    listing = listed_files(
        paths,
        filesystem=filesystem,
        extensions=file_extensions,
        ignore_missing=ignore_missing_paths,
        keep=partition_filter,
    )
    own = isinstance(filter, Expr)
    source: RowSource = ParquetSource(
        listing,
        partitioning,
        include_paths,
        arrow_filter=None if own else filter,
        given=schema,
        shuffle=shuffle,
        tolerant=DataContext.get_current().max_errored_blocks != 0,
    )
    source.schema()  # what is wrong with the files is told here, and not when the dataset is run
    if columns is not None:
        if len(set(columns)) < len(columns):
            raise ValueError(f"columns must be unique, but are {list(columns)}")
        source = source.select(columns) or source
    dataset = dataset_of_source(
        source,
        parallelism=parallelism,
        override_num_blocks=override_num_blocks,
        concurrency=concurrency,
        ray_remote_args=ray_remote_args,
        **options,
    )
    return dataset.filter(expr=filter) if own else dataset


def read_datasource(
    datasource: Datasource,
    *,
    parallelism: int = -1,
    override_num_blocks: int | None = None,
    concurrency: int | None = None,
    ray_remote_args: Mapping[str, Any] | None = None,
    **options: Any,
) -> Dataset:
    """Rows of a source of the user's own.

    Args:
        datasource: the source.
        override_num_blocks: the number of reads that it is asked for.
        concurrency: reads at a time.
        options: resources of the reads; all others are arguments of its `get_read_tasks`.

    Raises:
        TypeError: It is none.
    """
    if not isinstance(datasource, Datasource):
        raise TypeError(f"read_datasource expects a Datasource, but got {type(datasource).__name__}")
    source = DatasourceSource(datasource, {name: options.pop(name) for name in list(options) if name not in RESOURCES})
    return dataset_of_source(
        source,
        parallelism=parallelism,
        override_num_blocks=override_num_blocks,
        concurrency=concurrency,
        ray_remote_args=ray_remote_args,
        **options,
    )


def read_csv(
    paths: Paths,
    *,
    filesystem: Any = None,
    arrow_open_stream_args: Mapping[str, Any] | None = None,
    partition_filter: Callable[[list[str]], list[str]] | None = None,
    partitioning: Partitioning | None = Partitioning("hive"),  # noqa: B008 - a constant
    include_paths: bool = False,
    ignore_missing_paths: bool = False,
    file_extensions: Sequence[str] | None = ("csv", "csv.gz", "csv.bz2", "csv.zst", "csv.lz4", "csv.br"),
    parallelism: int = -1,
    override_num_blocks: int | None = None,
    concurrency: int | None = None,
    ray_remote_args: Mapping[str, Any] | None = None,
    **options: Any,
) -> Dataset:
    """Rows of CSV files. Compressed ones are known by their ending; files with other types or columns are put together.

    Args:
        options: ``read_options``, ``parse_options`` and ``convert_options`` of `pyarrow.csv.read_csv`; resources.
            For another delimiter ``parse_options=pyarrow.csv.ParseOptions(delimiter=";")``.

    Others, and errors: as `read_parquet`; what a file's text cannot mean is a ValueError with its path, when it is run.
    """
    for name in {"delimiter", "sep"} & set(options):
        raise TypeError(f"read_csv has no {name!r}: give parse_options=pyarrow.csv.ParseOptions(delimiter=...)")
    own: dict[str, Any] = {
        name: options.pop(name) for name in ("read_options", "parse_options", "convert_options") if name in options
    }
    return _of_files(
        paths, CSVReadFormat(own), filesystem, arrow_open_stream_args, partition_filter, partitioning, include_paths,
        ignore_missing_paths, file_extensions, parallelism, override_num_blocks, concurrency, ray_remote_args, options,
    )  # fmt: skip


def read_json(
    paths: Paths,
    *,
    lines: bool = False,
    filesystem: Any = None,
    arrow_open_stream_args: Mapping[str, Any] | None = None,
    partition_filter: Callable[[list[str]], list[str]] | None = None,
    partitioning: Partitioning | None = Partitioning("hive"),  # noqa: B008 - a constant
    include_paths: bool = False,
    ignore_missing_paths: bool = False,
    file_extensions: Sequence[str] | None = (
        "json",
        "jsonl",
        "json.gz",
        "jsonl.gz",
        "json.br",
        "jsonl.br",
        "json.zst",
        "jsonl.zst",
        "json.lz4",
        "jsonl.lz4",
    ),
    parallelism: int = -1,
    override_num_blocks: int | None = None,
    concurrency: int | None = None,
    ray_remote_args: Mapping[str, Any] | None = None,
    **options: Any,
) -> Dataset:
    """Rows of JSON files: an object in each line, one list of objects, or one object.

    Args:
        lines: accepted; the form is seen in the file.
        options: ``parse_options`` of `pyarrow.json.read_json`, with types of columns; ``read_options`` have no effect;
            resources.

    Others, and errors: as `read_csv`.
    """
    note_unused("read_json", "a file is read as a whole", read_options=options.pop("read_options", None))
    format = JSONReadFormat(options.pop("parse_options", None))
    return _of_files(
        paths, format, filesystem, arrow_open_stream_args, partition_filter, partitioning, include_paths,
        ignore_missing_paths, file_extensions, parallelism, override_num_blocks, concurrency, ray_remote_args, options,
    )  # fmt: skip


def read_text(
    paths: Paths,
    *,
    encoding: str = "utf-8",
    drop_empty_lines: bool = True,
    filesystem: Any = None,
    arrow_open_stream_args: Mapping[str, Any] | None = None,
    partition_filter: Callable[[list[str]], list[str]] | None = None,
    partitioning: Partitioning | None = None,
    include_paths: bool = False,
    ignore_missing_paths: bool = False,
    file_extensions: Sequence[str] | None = None,
    parallelism: int = -1,
    override_num_blocks: int | None = None,
    concurrency: int | None = None,
    ray_remote_args: Mapping[str, Any] | None = None,
    **options: Any,
) -> Dataset:
    """Lines of text files, in a column ``text``.

    Args:
        encoding: of the files.
        drop_empty_lines: whether empty lines are left out.

    Others, and errors: as `read_csv`.
    """
    return _of_files(
        paths, TextReadFormat(encoding, drop_empty_lines), filesystem, arrow_open_stream_args, partition_filter,
        partitioning, include_paths, ignore_missing_paths, file_extensions, parallelism, override_num_blocks,
        concurrency, ray_remote_args, options,
    )  # fmt: skip


def read_binary_files(
    paths: Paths,
    *,
    include_paths: bool = False,
    filesystem: Any = None,
    arrow_open_stream_args: Mapping[str, Any] | None = None,
    partition_filter: Callable[[list[str]], list[str]] | None = None,
    partitioning: Partitioning | None = None,
    ignore_missing_paths: bool = False,
    file_extensions: Sequence[str] | None = None,
    parallelism: int = -1,
    override_num_blocks: int | None = None,
    concurrency: int | None = None,
    ray_remote_args: Mapping[str, Any] | None = None,
    **options: Any,
) -> Dataset:
    """Files as they are, a row for each, in a column ``bytes``.

    Others, and errors: as `read_csv`.
    """
    return _of_files(
        paths, BinaryReadFormat(), filesystem, arrow_open_stream_args, partition_filter, partitioning, include_paths,
        ignore_missing_paths, file_extensions, parallelism, override_num_blocks, concurrency, ray_remote_args, options,
    )  # fmt: skip


def read_numpy(
    paths: Paths,
    *,
    allow_pickle: bool = False,
    filesystem: Any = None,
    arrow_open_stream_args: Mapping[str, Any] | None = None,
    partition_filter: Callable[[list[str]], list[str]] | None = None,
    partitioning: Partitioning | None = None,
    include_paths: bool = False,
    ignore_missing_paths: bool = False,
    file_extensions: Sequence[str] | None = ("npy",),
    parallelism: int = -1,
    override_num_blocks: int | None = None,
    concurrency: int | None = None,
    ray_remote_args: Mapping[str, Any] | None = None,
    **options: Any,
) -> Dataset:
    """Arrays of NumPy files, whose first dimension is the rows, in a column ``data``.

    Args:
        allow_pickle: whether arrays of Python objects are read, which can run any code.
        options: of `numpy.load`; resources.

    Others, and errors: as `read_csv`.
    """
    own: dict[str, Any] = {
        name: options.pop(name) for name in ("mmap_mode", "fix_imports", "encoding") if name in options
    }
    return _of_files(
        paths, NumpyReadFormat(allow_pickle, own), filesystem, arrow_open_stream_args, partition_filter, partitioning,
        include_paths, ignore_missing_paths, file_extensions, parallelism, override_num_blocks, concurrency,
        ray_remote_args, options,
    )  # fmt: skip


def read_images(
    paths: Paths,
    *,
    size: tuple[int, int] | None = None,
    mode: str | None = None,
    filesystem: Any = None,
    arrow_open_stream_args: Mapping[str, Any] | None = None,
    partition_filter: Callable[[list[str]], list[str]] | None = None,
    partitioning: Partitioning | None = None,
    include_paths: bool = False,
    ignore_missing_paths: bool = False,
    file_extensions: Sequence[str] | None = ("png", "jpg", "jpeg", "tif", "tiff", "bmp", "gif"),
    parallelism: int = -1,
    override_num_blocks: int | None = None,
    concurrency: int | None = None,
    ray_remote_args: Mapping[str, Any] | None = None,
    **options: Any,
) -> Dataset:
    """Pictures as arrays of height, width and channels, in a column ``image``.

    Args:
        size: height and width to which they are brought.
        mode: of Pillow's, such as "RGB" or "L", to which they are converted; None keeps each one's own.

    Raises:
        ValueError: The size is not two positive numbers.

    Others, and errors: as `read_csv`.
    """
    if size is not None and min(size) < 1:
        raise ValueError(f"Expected `size` to contain two positive integers, but is {size}")
    return _of_files(
        paths, ImageReadFormat(size, mode), filesystem, arrow_open_stream_args, partition_filter, partitioning,
        include_paths, ignore_missing_paths, file_extensions, parallelism, override_num_blocks, concurrency,
        ray_remote_args, options,
    )  # fmt: skip


def _of_files(
    paths: Paths, format: ReadFormat, filesystem: Any, stream_options: Mapping[str, Any] | None,
    partition_filter: Callable[[list[str]], list[str]] | None, partitioning: Partitioning | None, include_paths: bool,
    ignore_missing: bool, extensions: Sequence[str] | None, parallelism: int, blocks: int | None,
    concurrency: int | None, ray_remote_args: Mapping[str, Any] | None, options: Mapping[str, Any],
) -> Dataset:  # fmt: skip
    return dataset_of_files(
        paths,
        format,
        extensions,
        filesystem=filesystem,
        arrow_open_stream_args=stream_options,
        partition_filter=partition_filter,
        partitioning=partitioning,
        include_paths=include_paths,
        ignore_missing_paths=ignore_missing,
        parallelism=parallelism,
        override_num_blocks=blocks,
        concurrency=concurrency,
        ray_remote_args=ray_remote_args,
        **options,
    )
