"""Iterators: objects with the ``iter_`` methods, over a dataset or over one of the parts of `streaming_split`."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from ray_async.data.block.batches import check_batch_format, sized_batches
from ray_async.data.block.rows import rows_of
from ray_async.data.iteration.batching import check_batch_size, shuffled
from ray_async.data.iteration.frameworks import FrameworkIteration
from ray_async.data.iteration.loaders import shared_among_loaders

if TYPE_CHECKING:
    from ray_async.data.dataset.consuming import Consuming
    from ray_async.data.dataset.materialized import MaterializedDataset
    from ray_async.data.schema import Schema

__all__ = ("DataIterator", "DatasetIterator")


class DataIterator(FrameworkIteration):
    """The ``iter_`` methods of a dataset; each call iterates from the beginning."""

    @abstractmethod
    def _tables(self, ahead: int, *, whole_blocks: bool = False) -> Iterator[pa.Table]:
        """The tables of one pass, each a block if that is asked for."""

    @abstractmethod
    def schema(self) -> Schema | None:
        """As `Dataset.schema`."""

    @abstractmethod
    def stats(self) -> str:
        """As `Dataset.stats`."""

    def iter_rows(self) -> Iterator[dict[str, Any]]:
        """As `Dataset.iter_rows`."""
        for table in self._tables(1):
            yield from rows_of(table)

    def iter_batches(  # type: ignore[override]
        self,
        *,
        prefetch_batches: int = 1,
        batch_size: int | None = 256,
        batch_format: str | None = "default",
        drop_last: bool = False,
        local_shuffle_buffer_size: int | None = None,
        local_shuffle_seed: int | None = None,
        _collate_fn: Callable[[Any], Any] | None = None,
    ) -> Iterator[Any]:
        """As `Dataset.iter_batches`."""
        check_batch_size(batch_size)
        known = check_batch_format(batch_format)
        if local_shuffle_buffer_size is not None and batch_size is None:
            raise ValueError("local_shuffle_buffer_size needs a batch_size")
        return self._batches(
            known, prefetch_batches, batch_size, drop_last, local_shuffle_buffer_size, local_shuffle_seed, _collate_fn
        )

    def _batches(
        self,
        batch_format: str | None,
        prefetch: int,
        rows: int | None,
        drop_last: bool,
        buffer_rows: int | None,
        seed: int | None,
        collate: Callable[[Any], Any] | None,
    ) -> Iterator[Any]:
        tables = self._tables(max(1, prefetch), whole_blocks=rows is None)
        if buffer_rows is not None and rows is not None:
            tables = shuffled(tables, buffer_rows, rows, seed)
        for batch in sized_batches(tables, rows, batch_format, drop_last=drop_last):
            yield batch if collate is None else collate(batch)


class DatasetIterator(DataIterator):
    """An iterator over a dataset.

    Args:
        dataset: the dataset.
    """

    def __init__(self, dataset: Consuming) -> None:
        self._dataset = dataset

    def _tables(self, ahead: int, *, whole_blocks: bool = False) -> Iterator[pa.Table]:
        return shared_among_loaders(self._dataset._tables(ahead, whole_blocks=whole_blocks))

    def schema(self) -> Schema | None:
        return self._dataset.schema()

    def stats(self) -> str:
        return self._dataset.stats()  # type: ignore[attr-defined, no-any-return]

    def materialize(self) -> MaterializedDataset:
        """As `Dataset.materialize`."""
        return self._dataset.materialize()

    def __repr__(self) -> str:
        return f"DataIterator({self._dataset!r})"
