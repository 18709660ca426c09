"""Conversions of a whole dataset."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pyarrow as pa

import ray_async as ray
from ray_async.data.block.batches import batch_of
from ray_async.data.block.frames import frame_of
from ray_async.data.dataset.consuming import Consuming
from ray_async.data.executor.blocks import table_of_piece
from ray_async.data.iteration.ref_bundle import RefBundle

if TYPE_CHECKING:
    import pandas as pd
    import polars as pl

__all__ = ("Converting",)


class Converting(Consuming):
    """Methods that give all rows at once, in the driver's memory or as references."""

    def to_pandas(self, limit: int | None = None) -> pd.DataFrame:
        """All rows as a DataFrame.

        Raises:
            ValueError: There are more rows than ``limit``.
        """
        return frame_of(self._whole_table(limit, "to_pandas"))

    def to_arrow(self, limit: int | None = None) -> pa.Table:
        """All rows as an Arrow table.

        Raises:
            ValueError: There are more rows than ``limit``.
        """
        return self._whole_table(limit, "to_arrow")

    def to_polars(self, limit: int | None = None) -> pl.DataFrame:
        """All rows as a DataFrame of polars.

        Raises:
            ValueError: There are more rows than ``limit``.
        """
        return batch_of(self._whole_table(limit, "to_polars"), "polars")  # type: ignore[no-any-return]

    def to_pandas_refs(self) -> list[Any]:
        """References to DataFrames, one for each block."""
        return [ray.put(frame_of(table)) for table in self._blocks()]

    def to_arrow_refs(self) -> list[Any]:
        """References to Arrow tables, one for each block."""
        return [ray.put(table) for table in self._blocks()]

    def to_numpy_refs(self, *, column: str | None = None) -> list[Any]:
        """References to arrays of a column, or to dicts of arrays, one for each block."""
        batches = [batch_of(table, "numpy") for table in self._blocks()]
        return [ray.put(batch if column is None else batch[column]) for batch in batches]

    def get_internal_block_refs(self) -> list[Any]:
        """References to the blocks; one of which only a part belongs to the dataset is there as a whole."""
        return [reference for bundle in self.iter_internal_ref_bundles() for reference in bundle.block_refs]

    def iter_internal_ref_bundles(self) -> Iterator[RefBundle]:
        """References to blocks as they are ready, with their numbers of rows and bytes."""
        return map(RefBundle.of, self._execution().bundles())

    def _blocks(self) -> list[pa.Table]:
        bundles = self._run_all()
        return [self._put_together([table_of_piece(piece) for piece in bundle.pieces]) for bundle in bundles]
