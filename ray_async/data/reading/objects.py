"""Datasets of numbers and of objects in memory."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

import ray_async as ray
from ray_async.data.block.batches import table_of_batch
from ray_async.data.block.bundle import RowBundle
from ray_async.data.block.columns import column_of_array, column_of_values
from ray_async.data.block.frames import table_of_frame
from ray_async.data.block.rows import table_of_rows
from ray_async.data.block.schema import concatenated, unified
from ray_async.data.compute import Resources, TaskPoolStrategy
from ray_async.data.dataset.dataset import Dataset
from ray_async.data.dataset.materialized import MaterializedDataset
from ray_async.data.executor.blocks import bundle_of_table
from ray_async.data.operators.shuffling import even_sizes
from ray_async.data.plan import nodes
from ray_async.data.sources.huggingface import HuggingFaceSource
from ray_async.data.sources.numbers import RangeSource
from ray_async.data.unused import note_unused

if TYPE_CHECKING:
    import pandas as pd
    import polars as pl

__all__ = (
    "from_arrow",
    "from_arrow_refs",
    "from_blocks",
    "from_huggingface",
    "from_items",
    "from_numpy",
    "from_numpy_refs",
    "from_pandas",
    "from_pandas_refs",
    "from_polars",
    "from_torch",
    "range",
    "range_tensor",
)


def range(
    n: int, *, parallelism: int = -1, concurrency: int | None = None, override_num_blocks: int | None = None
) -> Dataset:
    """The numbers from 0 to below ``n``, in a column ``id``.

    Args:
        n: how many.
        parallelism: the old name of ``override_num_blocks``.
        concurrency: accepted.
        override_num_blocks: blocks; by default what the size and the CPUs ask for.

    Raises:
        ValueError: ``n`` is negative, or the number of blocks not positive.

    Example:
        >>> ray.data.range(3).take_all()
        [{'id': 0}, {'id': 1}, {'id': 2}]
    """
    note_unused("range", "numbers are made where they are needed", concurrency=concurrency)
    if n < 0:
        raise ValueError(f"n must be zero or positive, but is {n}")
    return Dataset(nodes.Read(RangeSource(n), block_count(override_num_blocks, parallelism)))


def range_tensor(
    n: int,
    *,
    shape: tuple[int, ...] = (1,),
    parallelism: int = -1,
    concurrency: int | None = None,
    override_num_blocks: int | None = None,
) -> Dataset:
    """Tensors that are filled with the numbers from 0 to below ``n``, in a column ``data``.

    Args:
        n: how many.
        shape: of each tensor.
    """
    note_unused("range_tensor", "numbers are made where they are needed", concurrency=concurrency)
    return Dataset(nodes.Read(RangeSource(n, tuple(shape)), block_count(override_num_blocks, parallelism)))


def from_items(
    items: Iterable[Any], *, parallelism: int = -1, override_num_blocks: int | None = None
) -> MaterializedDataset:
    """A dataset of Python objects: dicts become rows, anything else a column ``item``.

    Args:
        items: the objects. One schema holds them all: a key that an item lacks is null, int and float become float.
        override_num_blocks: blocks.
    """
    found = list(items)
    if found and all(isinstance(item, dict) for item in found):
        table = table_of_rows(found)
    else:
        table = pa.table({"item": column_of_values(found)}) if found else pa.table({})
    return of_tables([table], block_count(override_num_blocks, parallelism))


def from_pandas(
    dfs: pd.DataFrame | Sequence[pd.DataFrame], *, override_num_blocks: int | None = None
) -> MaterializedDataset:
    """A dataset of DataFrames; a block for each, without its index.

    Raises:
        TypeError: Something is no DataFrame.
    """
    frames = [dfs] if hasattr(dfs, "columns") else list(dfs)
    for frame in frames:
        if type(frame).__module__.partition(".")[0] != "pandas":
            raise TypeError(f"from_pandas expects DataFrames of pandas, but got {type(frame).__name__}")
    return of_tables([table_of_frame(frame) for frame in frames], override_num_blocks)


def from_polars(
    dfs: pl.DataFrame | Sequence[pl.DataFrame], *, override_num_blocks: int | None = None
) -> MaterializedDataset:
    """A dataset of DataFrames of polars; a block for each."""
    frames = [dfs] if hasattr(dfs, "columns") else list(dfs)
    return of_tables([table_of_batch(frame) for frame in frames], override_num_blocks)


def from_arrow(
    tables: pa.Table | bytes | Sequence[pa.Table | bytes], *, override_num_blocks: int | None = None
) -> MaterializedDataset:
    """A dataset of Arrow tables, or of such in Arrow's stream format; a block for each."""
    given = [tables] if isinstance(tables, (pa.Table, bytes)) else list(tables)
    return of_tables([_arrow_table(table) for table in given], override_num_blocks)


def _arrow_table(table: Any) -> pa.Table:
    if isinstance(table, bytes):
        with pa.ipc.open_stream(table) as reader:
            return reader.read_all()
    if not isinstance(table, (pa.Table, pa.RecordBatch)):
        raise TypeError(f"from_arrow expects Arrow tables, but got {type(table).__name__}")
    return table_of_batch(table).replace_schema_metadata(None)


def from_numpy(ndarrays: np.ndarray[Any, Any] | Sequence[np.ndarray[Any, Any]]) -> MaterializedDataset:
    """A dataset of arrays, whose first dimension is the rows, in a column ``data``; a block for each."""
    arrays = [ndarrays] if isinstance(ndarrays, np.ndarray) else list(ndarrays)
    return of_tables([pa.table({"data": column_of_array(np.asarray(array))}) for array in arrays], None)


def from_blocks(blocks: Sequence[Any]) -> MaterializedDataset:
    """A dataset of tables and DataFrames; a block for each."""
    return of_tables([table_of_batch(block) for block in blocks], None)


def from_pandas_refs(dfs: Any) -> MaterializedDataset:
    """A dataset of references to DataFrames."""
    return from_pandas(_values(dfs))


def from_arrow_refs(tables: Any) -> MaterializedDataset:
    """A dataset of references to Arrow tables."""
    return from_arrow(_values(tables))


def from_numpy_refs(ndarrays: Any) -> MaterializedDataset:
    """A dataset of references to arrays."""
    return from_numpy(_values(ndarrays))


def _values(refs: Any) -> list[Any]:
    return list(ray.get(list(refs))) if isinstance(refs, (list, tuple)) else [ray.get(refs)]


def from_huggingface(
    dataset: Any, *, parallelism: int = -1, concurrency: int | None = None, override_num_blocks: int | None = None
) -> Dataset:
    """A dataset of one of Hugging Face ``datasets``, as it is after its own selections; a streamed one is read when it
    is run.

    Raises:
        TypeError: It is none, or a dict of splits, of which one has to be chosen.
    """
    if isinstance(dataset, dict):
        raise TypeError(f"choose one of the splits, such as dataset[{next(iter(dataset), '')!r}]")
    if not hasattr(dataset, "with_format"):
        raise TypeError(f"from_huggingface expects a dataset of Hugging Face, but got {type(dataset).__name__}")
    if not hasattr(dataset, "__len__"):
        compute = TaskPoolStrategy(concurrency) if concurrency is not None else None
        blocks = block_count(override_num_blocks, parallelism)
        return Dataset(nodes.Read(HuggingFaceSource(dataset), blocks, Resources(compute)))
    table = dataset.with_format("arrow")[:]
    return of_tables([table.replace_schema_metadata(None)], block_count(override_num_blocks, parallelism))


def from_torch(dataset: Any, local_read: bool = False) -> MaterializedDataset:
    """A dataset of the items of a torch dataset, in a column ``item``.

    Args:
        dataset: with ``__len__`` and ``__getitem__``, or iterable.
        local_read: accepted; the items are always read here.
    """
    if hasattr(dataset, "__len__") and hasattr(dataset, "__getitem__"):
        indices = np.arange(len(dataset)).tolist()
        items = [dataset[index] for index in indices]
    else:
        items = list(dataset)
    return of_tables([pa.table({"item": column_of_values(items)})], None)


def of_tables(tables: Sequence[pa.Table], blocks: int | None) -> MaterializedDataset:
    """A dataset of tables of this process: a block for each, or so many of equal size."""
    bundles = [bundle_of_table(table) for table in tables]
    if blocks is not None:
        whole = bundle_of_table(concatenated(tables)) if tables else RowBundle(())
        bundles = whole.cut(even_sizes(whole.rows, blocks))
    known = unified(table.schema for table in tables)
    return MaterializedDataset(nodes.Blocks(tuple(bundles), known, fixed=blocks is not None or len(tables) > 1))


def block_count(override_num_blocks: int | None, parallelism: int = -1) -> int | None:
    """The number of blocks that was asked for.

    Raises:
        ValueError: It is not positive.
    """
    number = override_num_blocks if override_num_blocks is not None else None if parallelism == -1 else parallelism
    if number is not None and number < 1:
        raise ValueError(f"the number of blocks must be positive, but is {number}")
    return number
