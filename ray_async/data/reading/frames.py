"""Datasets of the frames of other libraries."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pyarrow as pa

from ray_async.data.block.columns import column_of_values
from ray_async.data.block.rows import table_of_rows
from ray_async.data.dataset.materialized import MaterializedDataset
from ray_async.data.reading.objects import from_arrow, from_pandas, of_tables
from ray_async.data.sources.optional import library

__all__ = ("from_daft", "from_dask", "from_mars", "from_modin", "from_spark", "from_tf")


def from_dask(df: Any) -> MaterializedDataset:
    """A dataset of a DataFrame of Dask: it is computed, in this process, and each partition becomes a block.

    Raises:
        TypeError: It is none.
    """
    _check(df, "dask", "to_delayed")
    parts = library("dask", "dask", "from_dask").compute(*df.to_delayed())
    return from_pandas(list(parts))


def from_modin(df: Any) -> MaterializedDataset:
    """A dataset of a DataFrame of Modin.

    Raises:
        TypeError: It is none.
    """
    _check(df, "modin", "_to_pandas")
    return from_pandas(df._to_pandas())


def from_mars(df: Any) -> MaterializedDataset:
    """A dataset of a DataFrame of Mars, which is computed.

    Raises:
        TypeError: It is none.
    """
    _check(df, "mars", "to_pandas")
    return from_pandas(df.to_pandas())


def from_spark(
    df: Any, *, parallelism: int | None = None, override_num_blocks: int | None = None
) -> MaterializedDataset:
    """A dataset of a DataFrame of Spark: its rows are collected into this process.

    Raises:
        TypeError: It is none.
    """
    _check(df, "pyspark", "toPandas")
    blocks = override_num_blocks if override_num_blocks is not None else parallelism
    if hasattr(df, "toArrow"):  # from Spark 4 on
        return from_arrow(df.toArrow(), override_num_blocks=blocks)
    return from_pandas(df.toPandas(), override_num_blocks=blocks)


def from_daft(df: Any) -> MaterializedDataset:
    """A dataset of a DataFrame of Daft, which is computed.

    Raises:
        TypeError: It is none.
    """
    _check(df, "daft", "to_arrow")
    return from_arrow(df.to_arrow())


def from_tf(dataset: Any) -> MaterializedDataset:
    """A dataset of the elements of a `tf.data.Dataset`: of dicts their keys, else a column ``item``.

    Raises:
        TypeError: It is none.
    """
    _check(dataset, "tensorflow", "as_numpy_iterator")
    elements: Sequence[Any] = list(dataset.as_numpy_iterator())
    if elements and all(isinstance(element, dict) for element in elements):
        return of_tables([table_of_rows(elements)], None)
    return of_tables([pa.table({"item": column_of_values(elements)})] if elements else [pa.table({})], None)


def _check(value: Any, package: str, method: str) -> None:
    if not hasattr(value, method):
        raise TypeError(
            f"from_{package.removeprefix('py')} expects what {package} makes, but got {type(value).__name__}"
        )
