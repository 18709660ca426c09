"""TFRecord files, without TensorFlow."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from ray_async.data.block.columns import python_of
from ray_async.data.block.tensors import is_tensor
from ray_async.data.sources.tf_example import example_class
from ray_async.data.sources.tfrecords import framed

__all__ = ("TFRecordFormat",)


@dataclass(frozen=True)
class TFRecordFormat:
    """A ``tf.train.Example`` for each row: integers of 64 bits, floats of 32, texts as bytes; a null has no value."""

    name = "TFRecords"
    extension = "tfrecords"

    def encode(self, table: pa.Table, stream: Any) -> None:
        columns = [
            (name, _kind(column.type, name), python_of(column))
            for name, column in zip(table.column_names, table.columns, strict=True)
        ]
        make = example_class("write_tfrecords")
        for row in range(table.num_rows):
            message = make()
            features = message.features.feature
            for name, kind, values in columns:
                feature = features[name]  # made by looking; a null stays without a kind
                if values[row] is not None:
                    _fill(getattr(feature, kind).value, values[row], kind, name)
            stream.write(framed(message.SerializeToString(deterministic=True)))

    def check(self, schema: pa.Schema) -> None:
        for name, kind in zip(schema.names, schema.types, strict=True):
            _kind(kind, name)


def _fill(target: Any, value: Any, kind: str, name: str) -> None:
    if isinstance(value, np.ndarray):
        value = value.reshape(-1).tolist()
    items: Iterable[Any] = value if isinstance(value, list) else [value]
    convert: Callable[[Any], Any] = _bytes if kind == "bytes_list" else int if kind == "int64_list" else float
    try:
        target.extend([convert(item) for item in items])
    except (TypeError, ValueError) as error:
        raise ValueError(f"column {name!r} has {value!r}, which no feature holds: {error}") from error


def _bytes(value: Any) -> bytes:
    return value.encode() if isinstance(value, str) else bytes(value)


def _kind(kind: pa.DataType, name: str) -> str:
    """The kind of a column's features.

    Raises:
        TypeError: There is none.
    """
    types = pa.types
    listed = types.is_list(kind) or types.is_large_list(kind) or types.is_fixed_size_list(kind)
    inner = kind.value_type if listed or is_tensor(kind) else kind
    if types.is_integer(inner) or types.is_boolean(inner):
        return "int64_list"
    if types.is_floating(inner):
        return "float_list"
    texts = (types.is_string, types.is_large_string, types.is_binary, types.is_large_binary, types.is_null)
    if any(test(inner) for test in texts):
        return "bytes_list"
    raise TypeError(f"column {name!r} is {kind}, which has no form in TFRecords: drop it, or make it numbers or texts")
