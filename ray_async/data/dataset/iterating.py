"""Iteration: rows and batches, for loops and for ``async for``."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from typing import TYPE_CHECKING, Any

from ray_async.data.block.rows import rows_of
from ray_async.data.dataset.consuming import Consuming
from ray_async.data.iteration.tf_batches import Names

if TYPE_CHECKING:
    from ray_async.data.iteration.iterator import DataIterator

__all__ = ("Iterating",)


class Iterating(Consuming):
    """Methods that iterate."""

    def iterator(self) -> DataIterator:
        """An iterator object with the ``iter_`` methods, which runs the dataset at each of their calls."""
        from ray_async.data.iteration.iterator import DatasetIterator

        return DatasetIterator(self)

    def iter_rows(self) -> Iterator[dict[str, Any]]:
        """The rows, each a dict of Python values, as they are ready."""
        return self.iterator().iter_rows()

    def iter_batches(
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
        """Batches, whose rows may come from several blocks.

        Args:
            prefetch_batches: batches that are made ready ahead of the loop.
            batch_size: rows of a batch; None: blocks as they are.
            batch_format: as for `map_batches`; arrays are read-only views where that is possible.
            drop_last: whether to leave out a last batch with fewer rows.
            local_shuffle_buffer_size: rows among which the next are drawn at random; None keeps the order.
            local_shuffle_seed: of that.

        Raises:
            ValueError: An unknown format, or a size that is not positive.
        """
        return self.iterator().iter_batches(
            prefetch_batches=prefetch_batches,
            batch_size=batch_size,
            batch_format=batch_format,
            drop_last=drop_last,
            local_shuffle_buffer_size=local_shuffle_buffer_size,
            local_shuffle_seed=local_shuffle_seed,
            _collate_fn=_collate_fn,
        )

    def iter_torch_batches(
        self,
        *,
        prefetch_batches: int = 1,
        batch_size: int | None = 256,
        dtypes: Any = None,
        device: Any = "auto",
        collate_fn: Callable[[Any], Any] | None = None,
        drop_last: bool = False,
        local_shuffle_buffer_size: int | None = None,
        local_shuffle_seed: int | None = None,
        pin_memory: bool = False,
    ) -> Iterator[Any]:
        """Batches of torch tensors, which may be changed: they share no memory with the dataset.

        Args:
            dtypes: a dtype of torch for all columns, or one for each.
            device: where the tensors go; "auto" is a GPU if this process has one, else the CPU.
            collate_fn: makes of a batch of NumPy arrays whatever the loop shall get; excludes ``dtypes``. An object of
                a class of `ray_async.data.collate_fn` says itself in which form it takes batches. Tensors of its result
                are moved if a device is given.
            pin_memory: whether to copy through page-locked memory, which a GPU reads faster.

        Raises:
            ValueError: Both ``collate_fn`` and ``dtypes``.
            TypeError: A column has no type in torch.
        """
        return self.iterator().iter_torch_batches(
            prefetch_batches=prefetch_batches,
            batch_size=batch_size,
            dtypes=dtypes,
            device=device,
            collate_fn=collate_fn,
            drop_last=drop_last,
            local_shuffle_buffer_size=local_shuffle_buffer_size,
            local_shuffle_seed=local_shuffle_seed,
            pin_memory=pin_memory,
        )

    def iter_tf_batches(self, **options: Any) -> Iterator[dict[str, Any]]:
        """Batches of tensors of TensorFlow. Arguments and errors: as `DataIterator.iter_tf_batches`."""
        return self.iterator().iter_tf_batches(**options)

    def iter_jax_batches(self, **options: Any) -> Iterator[Any]:
        """Batches of arrays of JAX. Arguments and errors: as `DataIterator.iter_jax_batches`."""
        return self.iterator().iter_jax_batches(**options)

    def to_tf(self, feature_columns: Names, label_columns: Names, **options: Any) -> Any:
        """A `tf.data.Dataset` of pairs of features and labels. Arguments and errors: as `DataIterator.to_tf`."""
        return self.iterator().to_tf(feature_columns, label_columns, **options)

    def to_torch(self, **options: Any) -> Any:
        """A `torch.utils.data.IterableDataset` of pairs of features and labels.

        Arguments and errors: as `DataIterator.to_torch`.
        """
        return self.iterator().to_torch(**options)

    async def __aiter__(self) -> AsyncIterator[dict[str, Any]]:
        """The rows, on the running event loop and without a thread."""
        stream = self._tables_async()
        try:
            async for table in stream:
                for row in rows_of(table):
                    yield row
        finally:
            await stream.aclose()  # type: ignore[attr-defined]

    def __len__(self) -> int:
        raise AttributeError("a dataset has no len(), which would have to run it: use count()")

    def __bool__(self) -> bool:
        return True

    def __iter__(self) -> Iterator[Any]:
        raise TypeError("a dataset is not iterated over as it is: use iter_rows() or iter_batches()")
