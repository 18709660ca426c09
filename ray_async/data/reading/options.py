"""Options that readers have in common, and the datasets that are made with them."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal, TypedDict, Unpack

from ray_async.data.compute import Resources, TaskPoolStrategy
from ray_async.data.dataset.dataset import Dataset
from ray_async.data.plan import nodes
from ray_async.data.reading.objects import block_count
from ray_async.data.sources.base import RowSource
from ray_async.data.sources.file_order import FileShuffleConfig, shuffle_of
from ray_async.data.sources.files import FileSource, ReadFormat
from ray_async.data.sources.listing import listed_files
from ray_async.data.sources.partitioning import Partitioning
from ray_async.suggestion import did_you_mean

__all__ = ("RESOURCES", "FileOptions", "Paths", "ReadOptions", "dataset_of_files", "dataset_of_source")

Paths = str | os.PathLike[str] | Sequence[str | os.PathLike[str]]
RESOURCES = (
    "num_cpus", "num_gpus", "memory", "label_selector", "fallback_strategy", "max_calls", "resources",
    "accelerator_type", "runtime_env",
)  # fmt: skip


class ReadOptions(TypedDict, total=False):
    """Options of every reader.

    Keys:
        override_num_blocks: blocks; by default what the size and the CPUs ask for.
        parallelism: the old name of it.
        concurrency: reads at a time.
        ray_remote_args: options of the tasks that read; further ones are `num_cpus` and the other resources.
    """

    parallelism: int
    override_num_blocks: int | None
    concurrency: int | None
    ray_remote_args: Mapping[str, Any] | None
    num_cpus: float | None
    num_gpus: float | None
    memory: float | None
    label_selector: Mapping[str, str] | None
    fallback_strategy: Any
    max_calls: int | None
    resources: Mapping[str, float] | None
    accelerator_type: str | None
    runtime_env: Any


class FileOptions(ReadOptions, total=False):
    """Options of readers of files.

    Keys:
        filesystem: of pyarrow's or fsspec's; by default the one that the paths name.
        arrow_open_stream_args: options of `pyarrow.fs.FileSystem.open_input_stream`.
        partition_filter: given paths, returns those to read.
        partitioning: how folders name values, which become columns of texts; None: they do not.
        include_paths: whether to add a column ``path``.
        ignore_missing_paths: whether paths that do not exist are passed over.
        file_extensions: endings of files that are read out of folders; None: all.
        shuffle: "files" reads the files in another order each time; a `FileShuffleConfig` with a seed in one order.
    """

    filesystem: Any
    arrow_open_stream_args: Mapping[str, Any] | None
    partition_filter: Callable[[list[str]], list[str]] | None
    partitioning: Partitioning | None
    include_paths: bool
    ignore_missing_paths: bool
    file_extensions: Sequence[str] | None
    shuffle: Literal["files"] | FileShuffleConfig | None


def dataset_of_files(
    paths: Paths,
    format: ReadFormat,
    extensions: Sequence[str] | None,
    **options: Unpack[FileOptions],
) -> Dataset:
    """A dataset of the files that paths stand for.

    Args:
        format: what their bytes mean.
        extensions: endings that are read out of folders, unless the options say others.

    Raises:
        FileNotFoundError: A path does not exist.
        ValueError: There is no file.
        TypeError: An unknown option.
    """
    given: dict[str, Any] = dict(options)
    listing = listed_files(
        paths,
        filesystem=given.pop("filesystem", None),
        extensions=given.pop("file_extensions", extensions),
        ignore_missing=given.pop("ignore_missing_paths", False),
        keep=given.pop("partition_filter", None),
    )
    source = FileSource(
        listing,
        format,
        given.pop("partitioning", None),
        given.pop("include_paths", False),
        dict(given.pop("arrow_open_stream_args", None) or {}),
        shuffle=shuffle_of(given.pop("shuffle", None)),
    )
    return dataset_of_source(source, **given)


def dataset_of_source(source: RowSource, **options: Unpack[ReadOptions]) -> Dataset:
    """A dataset of a source.

    Raises:
        TypeError: An unknown option.
    """
    given: dict[str, Any] = dict(options)
    blocks = block_count(given.pop("override_num_blocks", None), given.pop("parallelism", -1))
    concurrency = given.pop("concurrency", None)
    remote = dict(given.pop("ray_remote_args", None) or {})
    unknown = sorted(set(given) - set(RESOURCES))
    if unknown:
        known = {*ReadOptions.__annotations__, *RESOURCES}
        raise TypeError(f"unexpected keyword argument {unknown[0]!r}.{did_you_mean(unknown[0], known)}")
    remote |= {name: value for name, value in given.items() if value is not None}
    compute = TaskPoolStrategy(concurrency) if concurrency is not None else None
    return Dataset(nodes.Read(source, blocks, Resources(compute, remote)))
