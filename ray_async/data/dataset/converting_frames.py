"""Conversions to the frames of other libraries."""

from __future__ import annotations

from typing import Any

import pyarrow as pa

from ray_async.data.block.frames import frame_of
from ray_async.data.dataset.converting import Converting
from ray_async.data.sources.optional import check_installed, library

__all__ = ("ConvertingFrames",)


class ConvertingFrames(Converting):
    """Methods that run the dataset and give all rows to another library."""

    def to_dask(self, meta: Any = None, verify_meta: bool = True) -> Any:
        """A DataFrame of Dask, with a partition for each block.

        Args:
            meta: an empty frame of its types; by default the first block's.
            verify_meta: whether Dask checks that the partitions have these types.

        Raises:
            ImportError: dask[dataframe] is not installed.
        """
        check_installed("dask", "dask[dataframe]", "to_dask")
        frames = library("dask.dataframe", "dask[dataframe]", "to_dask")
        tables = self._blocks() or [pa.table({})]
        if meta is None:
            meta = frame_of(self._put_together(tables).slice(0, 0))
        return frames.from_map(frame_of, tables, meta=meta, enforce_metadata=verify_meta)

    def to_modin(self) -> Any:
        """A DataFrame of Modin.

        Raises:
            ImportError: Modin is not installed.
        """
        check_installed("modin", "modin", "to_modin")
        return library("modin.pandas", "modin", "to_modin").DataFrame(self.to_pandas())

    def to_mars(self) -> Any:
        """A DataFrame of Mars.

        Raises:
            ImportError: Mars is not installed.
        """
        check_installed("mars", "pymars", "to_mars")
        return library("mars.dataframe", "pymars", "to_mars").DataFrame(self.to_pandas())

    def to_spark(self, spark: Any) -> Any:
        """A DataFrame of Spark.

        Args:
            spark: the session of Spark that makes it.
        """
        return spark.createDataFrame(self.to_pandas())

    def to_daft(self) -> Any:
        """A DataFrame of Daft.

        Raises:
            ImportError: Daft is not installed.
        """
        check_installed("daft", "daft", "to_daft")
        return library("daft", "daft", "to_daft").from_arrow(self.to_arrow())
