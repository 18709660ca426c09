"""Iteration for training frameworks: batches as tensors of torch, TensorFlow and JAX, and their own datasets."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

from ray_async.data.collate_fn import CollateFn
from ray_async.data.iteration.tf_batches import Names
from ray_async.data.iteration.torch_dataset import Features
from ray_async.data.unused import note_unused

if TYPE_CHECKING:
    from ray_async.data.schema import Schema

__all__ = ("FrameworkIteration",)


class FrameworkIteration(ABC):
    """Methods that give batches to training frameworks, made of `iter_batches` and `schema`."""

    @abstractmethod
    def iter_batches(self, **options: Any) -> Iterator[Any]:
        """As `Dataset.iter_batches`."""

    @abstractmethod
    def schema(self) -> Schema | None:
        """As `Dataset.schema`."""

    def iter_torch_batches(
        self,
        *,
        prefetch_batches: int = 1,
        batch_size: int | None = 256,
        dtypes: Any = None,
        device: Any = "auto",
        collate_fn: Callable[[Any], Any] | CollateFn[Any] | None = None,
        drop_last: bool = False,
        local_shuffle_buffer_size: int | None = None,
        local_shuffle_seed: int | None = None,
        pin_memory: bool = False,
    ) -> Iterator[Any]:
        """As `Dataset.iter_torch_batches`."""
        from ray_async.data.iteration.tensors import Collated, Tensors

        if collate_fn is not None and dtypes is not None:
            raise ValueError("collate_fn cannot be used with dtypes: convert to the types in collate_fn")
        form, collate = "numpy", collate_fn
        if collate_fn is None:
            collate = Tensors(dtypes, device, pin_memory)
        elif isinstance(collate_fn, CollateFn):
            form = collate_fn.batch_format
        if collate_fn is not None and (isinstance(collate_fn, CollateFn) or device != "auto" or pin_memory):
            collate = Collated(collate_fn, device, pin_memory)
        return self.iter_batches(
            prefetch_batches=prefetch_batches,
            batch_size=batch_size,
            batch_format=form,
            drop_last=drop_last,
            local_shuffle_buffer_size=local_shuffle_buffer_size,
            local_shuffle_seed=local_shuffle_seed,
            _collate_fn=collate,
        )

    def iter_tf_batches(
        self,
        *,
        prefetch_batches: int = 1,
        batch_size: int | None = 256,
        dtypes: Any = None,
        drop_last: bool = False,
        local_shuffle_buffer_size: int | None = None,
        local_shuffle_seed: int | None = None,
    ) -> Iterator[dict[str, Any]]:
        """Batches of tensors of TensorFlow.

        Args:
            dtypes: a dtype of TensorFlow for all columns, or one for each.

        Others as `Dataset.iter_batches`.

        Raises:
            ImportError: TensorFlow is not installed.
            TypeError: A column has no type there.
        """
        from ray_async.data.iteration.tf_batches import TFTensors
        from ray_async.data.sources.optional import check_installed

        check_installed("tensorflow", "tensorflow", "iter_tf_batches")
        return self.iter_batches(
            prefetch_batches=prefetch_batches,
            batch_size=batch_size,
            drop_last=drop_last,
            local_shuffle_buffer_size=local_shuffle_buffer_size,
            local_shuffle_seed=local_shuffle_seed,
            _collate_fn=TFTensors(dtypes),
        )

    def iter_jax_batches(
        self,
        *,
        prefetch_batches: int = 1,
        batch_size: int | None = 256,
        dtypes: Any = None,
        collate_fn: Callable[[Any], Any] | None = None,
        drop_last: bool = False,
        local_shuffle_buffer_size: int | None = None,
        local_shuffle_seed: int | None = None,
        synchronize_batches: bool = False,
        paddings: Any = None,
    ) -> Iterator[Any]:
        """Batches of arrays of JAX.

        Args:
            dtypes: a dtype for all columns, or one for each.
            collate_fn: makes of a batch of NumPy arrays whatever the loop shall get; excludes ``dtypes``.
            synchronize_batches: accepted; each process has batches of its own.
            paddings: a number for all columns, or for each, with which a last batch is filled up to the full size, so
                that JAX need not compile for another shape.

        Others as `Dataset.iter_batches`.

        Raises:
            ImportError: JAX is not installed.
            ValueError: Both ``collate_fn`` and ``dtypes`` or ``paddings``.
            TypeError: A column has no type there.
        """
        note_unused("iter_jax_batches", "each process has batches of its own", synchronize_batches=synchronize_batches)
        from ray_async.data.iteration.jax_batches import JaxArrays
        from ray_async.data.sources.optional import check_installed

        check_installed("jax", "jax", "iter_jax_batches")
        if collate_fn is not None and (dtypes is not None or paddings is not None):
            raise ValueError("collate_fn cannot be used with dtypes and paddings: convert in collate_fn")
        return self.iter_batches(
            prefetch_batches=prefetch_batches,
            batch_size=batch_size,
            drop_last=drop_last,
            local_shuffle_buffer_size=local_shuffle_buffer_size,
            local_shuffle_seed=local_shuffle_seed,
            _collate_fn=collate_fn if collate_fn is not None else JaxArrays(dtypes, batch_size, paddings),
        )

    def to_tf(
        self,
        feature_columns: Names,
        label_columns: Names,
        *,
        additional_columns: Names | None = None,
        prefetch_batches: int = 1,
        batch_size: int = 1,
        drop_last: bool = False,
        local_shuffle_buffer_size: int | None = None,
        local_shuffle_seed: int | None = None,
        feature_type_spec: Any = None,
        label_type_spec: Any = None,
        additional_type_spec: Any = None,
    ) -> Any:
        """A `tf.data.Dataset` of pairs of features and labels, for `model.fit`.

        Args:
            feature_columns: a column, or several, which become a dict.
            label_columns: a column, or several.
            additional_columns: further ones, as the third of three; for instance weights.
            feature_type_spec: their types, of TensorFlow's; by default by the schema.
            label_type_spec: those of the labels.
            additional_type_spec: those of the third.

        Others as `Dataset.iter_batches`.

        Raises:
            ImportError: TensorFlow is not installed.
            UnknownColumnError: There is no such column.
            TypeError: A column has no type there.
        """
        from ray_async.data.iteration.tf_batches import tf_dataset
        from ray_async.data.sources.optional import check_installed

        check_installed("tensorflow", "tensorflow", "to_tf")
        groups, specs = [feature_columns, label_columns], [feature_type_spec, label_type_spec]
        if additional_columns is not None:
            groups, specs = [*groups, additional_columns], [*specs, additional_type_spec]
        schema = self.schema()
        if schema is None:
            raise ValueError("The dataset is empty.")
        batches = partial(
            self.iter_batches,
            prefetch_batches=prefetch_batches,
            batch_size=batch_size,
            drop_last=drop_last,
            local_shuffle_buffer_size=local_shuffle_buffer_size,
            local_shuffle_seed=local_shuffle_seed,
        )
        return tf_dataset(batches, schema.base_schema, groups, specs)

    def to_torch(
        self,
        *,
        label_column: str | None = None,
        feature_columns: Features = None,
        label_column_dtype: Any = None,
        feature_column_dtypes: Any = None,
        batch_size: int = 1,
        prefetch_batches: int = 1,
        drop_last: bool = False,
        local_shuffle_buffer_size: int | None = None,
        local_shuffle_seed: int | None = None,
        unsqueeze_label_tensor: bool = True,
        unsqueeze_feature_tensors: bool = True,
    ) -> Any:
        """A `torch.utils.data.IterableDataset` of pairs of a tensor of features and one of labels.

        Args:
            label_column: the label; None: there is none, and the second of the pair is None.
            feature_columns: columns that are put together side by side; several lists, or a dict of them, for several
                tensors; by default all but the label.
            label_column_dtype: of torch.
            feature_column_dtypes: of torch: one for all columns, or a dict.
            unsqueeze_label_tensor: whether labels have a second dimension.
            unsqueeze_feature_tensors: whether each column of numbers has one before they are put together.

        Others as `Dataset.iter_batches`. Give it to a `DataLoader` with ``batch_size=None``; processes of the loader
        share the rows, none comes twice.

        Raises:
            ImportError: torch is not installed.
        """
        from ray_async.data.iteration.tensors import Tensors
        from ray_async.data.iteration.torch_dataset import labelled, torch_dataset
        from ray_async.data.sources.optional import check_installed

        check_installed("torch", "torch", "to_torch")
        given = feature_column_dtypes
        tensors = Tensors(dict(given) if isinstance(given, Mapping) else None, "cpu")

        def collate(batch: Any) -> Any:
            found = tensors(batch)
            if given is not None and not isinstance(given, Mapping):
                found = {name: value if name == label_column else value.to(given) for name, value in found.items()}
            if label_column is not None and label_column_dtype is not None:
                found[label_column] = found[label_column].to(label_column_dtype)
            return labelled(
                found,
                label_column,
                feature_columns,
                unsqueeze_label=unsqueeze_label_tensor,
                unsqueeze_features=unsqueeze_feature_tensors,
            )

        return torch_dataset(
            partial(
                self.iter_batches,
                prefetch_batches=prefetch_batches,
                batch_size=batch_size,
                drop_last=drop_last,
                local_shuffle_buffer_size=local_shuffle_buffer_size,
                local_shuffle_seed=local_shuffle_seed,
                _collate_fn=collate,
            )
        )
