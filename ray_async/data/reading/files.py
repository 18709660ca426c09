"""Datasets of files."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ray_async.data.compute import Resources, TaskPoolStrategy
from ray_async.data.dataset.dataset import Dataset
from ray_async.data.expressions.expr import Expr
from ray_async.data.plan import nodes
from ray_async.data.reading.objects import block_count
from ray_async.data.sources.base import RowSource
from ray_async.data.sources.listing import listed_files
from ray_async.data.sources.parquet import ParquetSource
from ray_async.data.sources.partitioning import Partitioning

__all__ = ("read_parquet",)

Paths = str | os.PathLike[str] | Sequence[str | os.PathLike[str]]
_RESOURCES = ("num_cpus", "num_gpus", "memory", "label_selector", "fallback_strategy", "max_calls", "resources",
              "accelerator_type", "runtime_env")  # fmt: skip


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
        options: ``num_cpus`` and other resources of the reads.

    Raises:
        FileNotFoundError: A path does not exist.
        ValueError: There is no file, or one is no Parquet file.
        UnknownColumnError: No file has one of the columns.
        TypeError: The files' columns have types that do not fit together, or an unknown argument.

    Example:
        >>> ds = ray.data.read_parquet("s3://bucket/data/", columns=["text"])
    """
    listing = listed_files(
        paths,
        filesystem=filesystem,
        extensions=file_extensions,
        ignore_missing=ignore_missing_paths,
        keep=partition_filter,
    )
    own = isinstance(filter, Expr)
    source: RowSource = ParquetSource(
        listing, partitioning, include_paths, arrow_filter=None if own else filter, given=schema
    )
    if columns is not None:
        if len(set(columns)) < len(columns):
            raise ValueError(f"columns must be unique, but are {list(columns)}")
        source = source.select(columns) or source
    dataset = reading(source, parallelism, override_num_blocks, concurrency, ray_remote_args, options)
    return dataset.filter(expr=filter) if own else dataset


def reading(
    source: RowSource,
    parallelism: int,
    override_num_blocks: int | None,
    concurrency: int | None,
    ray_remote_args: Mapping[str, Any] | None,
    options: Mapping[str, Any],
) -> Dataset:
    """A dataset of a source.

    Raises:
        TypeError: An argument that nobody knows.
    """
    unknown = sorted(set(options) - set(_RESOURCES))
    if unknown:
        raise TypeError(f"unexpected keyword argument {unknown[0]!r}")
    given = {**(ray_remote_args or {}), **{name: value for name, value in options.items() if value is not None}}
    compute = TaskPoolStrategy(concurrency) if concurrency is not None else None
    return Dataset(nodes.Read(source, block_count(override_num_blocks, parallelism), Resources(compute, given)))
