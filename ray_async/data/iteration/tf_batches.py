"""Tensors of TensorFlow made of batches, and its datasets."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from ray_async.data.block.tensors import is_tensor
from ray_async.data.iteration.numbers import dtype_of
from ray_async.data.plan.columns import check_columns
from ray_async.data.sources.optional import library

__all__ = ("TFSpecs", "TFTensors", "tf_dataset")

Names = str | Sequence[str]


@dataclass
class TFTensors:
    """Makes tensors of batches; lists and arrays of different lengths become ragged tensors.

    Attributes:
        dtypes: a dtype for all columns, or one for each.
    """

    dtypes: Any = None

    def __call__(self, batch: Mapping[str, np.ndarray[Any, Any]]) -> dict[str, Any]:
        return {name: tf_tensor(name, array, dtype_of(self.dtypes, name)) for name, array in batch.items()}


def tf_tensor(name: str, array: np.ndarray[Any, Any], dtype: Any = None) -> Any:
    """A column as a tensor.

    Raises:
        TypeError: TensorFlow has no type for its values; the column is named.
    """
    tf = library("tensorflow", "tensorflow", "iter_tf_batches")
    try:
        if array.dtype != object or not len(array) or isinstance(array[0], (str, bytes)):
            found = tf.convert_to_tensor(array)
        else:
            values = [np.asarray(value) for value in array]
            alike = len({value.shape for value in values}) == 1
            found = tf.convert_to_tensor(np.stack(values)) if alike else tf.ragged.stack(values)
        return found if dtype is None else tf.cast(found, dtype)
    except (ValueError, TypeError, tf.errors.InvalidArgumentError) as error:
        raise TypeError(f"column {name!r} is {array.dtype}, of which TensorFlow makes no tensor: {error}") from error


@dataclass(frozen=True)
class TFSpecs:
    """Types of what a dataset of TensorFlow gives, where the user says them; None takes the schema's."""

    features: Any = None
    labels: Any = None
    additional: Any = None


def tf_dataset(
    batches: Callable[[], Iterable[Mapping[str, Any]]], schema: pa.Schema, groups: Sequence[Names], specs: Sequence[Any]
) -> Any:
    """A dataset of TensorFlow, whose elements are tuples of the columns of each group.

    Args:
        batches: begins an iteration over batches of arrays.
        schema: of the rows.
        groups: for each item of the tuple a column, or several that become a dict.
        specs: for each its type, of TensorFlow's; None takes the schema's.

    Raises:
        UnknownColumnError: There is no such column.
        TypeError: A column has no type in TensorFlow.
    """
    tf = library("tensorflow", "tensorflow", "to_tf")
    for group in groups:
        check_columns([group] if isinstance(group, str) else group, schema.names)

    def elements() -> Iterator[Any]:
        for batch in batches():
            yield tuple(_of_group(group, batch) for group in groups)

    signature = tuple(
        _spec_of_group(tf, group, schema) if spec is None else spec for group, spec in zip(groups, specs, strict=True)
    )
    return tf.data.Dataset.from_generator(elements, output_signature=signature).prefetch(1)


def _of_group(group: Names, batch: Mapping[str, Any]) -> Any:
    if isinstance(group, str):
        return tf_tensor(group, batch[group])
    return {name: tf_tensor(name, batch[name]) for name in group}


def _spec_of_group(tf: Any, group: Names, schema: pa.Schema) -> Any:
    if isinstance(group, str):
        return _spec(tf, group, schema.field(group).type)
    return {name: _spec(tf, name, schema.field(name).type) for name in group}


def _spec(tf: Any, name: str, kind: pa.DataType) -> Any:
    if isinstance(kind, pa.FixedShapeTensorType):
        return tf.TensorSpec((None, *kind.shape), dtype=tf.as_dtype(kind.value_type.to_pandas_dtype()), name=name)
    types = pa.types
    if types.is_list(kind) or types.is_large_list(kind):
        return tf.RaggedTensorSpec((None, None), dtype=tf.as_dtype(kind.value_type.to_pandas_dtype()))
    if types.is_string(kind) or types.is_large_string(kind) or types.is_binary(kind):
        return tf.TensorSpec((None,), dtype=tf.string, name=name)
    if is_tensor(kind) or not (types.is_integer(kind) or types.is_floating(kind) or types.is_boolean(kind)):
        raise TypeError(f"column {name!r} is {kind}, for which TensorFlow has no type: give a type_spec, or drop it")
    return tf.TensorSpec((None,), dtype=tf.as_dtype(kind.to_pandas_dtype()), name=name)
