"""Batches for TensorFlow and JAX, whose libraries are imported when the first batch is made."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from ray_async.data.iteration.tensors import stacked

if TYPE_CHECKING:
    from ray_async.data.iteration.iterator import DataIterator

__all__ = ("JaxArrays", "TensorFlowTensors", "tensorflow_dataset")


@dataclass
class TensorFlowTensors:
    """Makes tensors of TensorFlow of batches.

    Attributes:
        dtypes: a dtype for all columns, or one for each.
    """

    dtypes: Any = None

    def __call__(self, batch: Mapping[str, np.ndarray[Any, Any]]) -> dict[str, Any]:
        import tensorflow as tf

        return {
            name: tf.convert_to_tensor(_plain(name, array), dtype=_dtype(self.dtypes, name))
            for name, array in batch.items()
        }


@dataclass
class JaxArrays:
    """Makes arrays of JAX of batches.

    Attributes:
        dtypes: a dtype for all columns, or one for each.
    """

    dtypes: Any = None

    def __call__(self, batch: Mapping[str, np.ndarray[Any, Any]]) -> dict[str, Any]:
        import jax.numpy as jnp

        return {name: jnp.array(stacked(name, array), dtype=_dtype(self.dtypes, name)) for name, array in batch.items()}


def _dtype(dtypes: Any, name: str) -> Any:
    return dtypes.get(name) if isinstance(dtypes, Mapping) else dtypes


def _plain(name: str, array: np.ndarray[Any, Any]) -> Any:
    texts = array.dtype == object and all(isinstance(value, (str, bytes)) for value in array)
    return array.tolist() if texts else stacked(name, array)


def tensorflow_dataset(
    iterator: DataIterator,
    columns: Sequence[str | Sequence[str]],
    specs: Sequence[Any],
    batches: Callable[[], Iterator[Any]],
) -> Any:
    """A ``tf.data.Dataset`` of tuples, each of whose parts is a column's tensor or a dict of several.

    Args:
        iterator: where the batches come from, for messages.
        columns: for each part a column, or several.
        specs: for each part a ``tf.TypeSpec``, a dict of such, or None to take the first batch's.
        batches: begins to iterate over batches of tensors.

    Raises:
        ValueError: There are no rows of which to learn types.
    """
    import tensorflow as tf

    def chosen(batch: Mapping[str, Any]) -> tuple[Any, ...]:
        return tuple(batch[part] if isinstance(part, str) else {name: batch[name] for name in part} for part in columns)

    first: Mapping[str, Any] | None = None
    if any(spec is None for spec in specs):
        first = next(iter(batches()), None)
        if first is None:
            raise ValueError(f"{iterator!r} has no rows: give feature_type_spec and label_type_spec")

    def spec_of(part: str | Sequence[str]) -> Any:
        if not isinstance(part, str):
            return {name: spec_of(name) for name in part}
        assert first is not None
        tensor = first[part]
        return tf.TensorSpec(shape=(None, *tensor.shape[1:]), dtype=tensor.dtype, name=part)

    signature = tuple(spec_of(part) if spec is None else spec for part, spec in zip(columns, specs, strict=True))
    return tf.data.Dataset.from_generator(lambda: map(chosen, batches()), output_signature=signature)
