"""TFRecord files: frames with checksums, each with a ``tf.train.Example``; read without TensorFlow.

The format: https://www.tensorflow.org/tutorials/load_data/tfrecord, "TFRecords format details".
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Any

import pyarrow as pa

from ray_async.data.sources.optional import library
from ray_async.data.sources.tf_example import example_class

__all__ = ("TFRecordReadFormat", "framed", "types_of_schema")

_HEADER = struct.Struct("<QI")
_FOOTER = struct.Struct("<I")
_ROWS = 16_384
_KINDS = {"bytes_list": pa.binary(), "float_list": pa.float32(), "int64_list": pa.int64()}
#: Numbers of the types in a schema of TensorFlow Metadata.
_SCHEMA_KINDS = {1: pa.binary(), 2: pa.int64(), 3: pa.float32()}

# A row's features: of each the kind, None for one without values, and the values.
Features = dict[str, tuple[str | None, list[Any]]]


@dataclass(frozen=True)
class TFRecordReadFormat:
    """Features as columns: of one value in each row of a file plain values, else lists; an absent feature is null.

    Attributes:
        types: Arrow types of features that the caller knows; others are as the file has them.
    """

    types: tuple[tuple[str, pa.DataType], ...] = ()
    name = "TFRecords"
    growth = 2.0
    compressed = True
    refuses_empty = False

    def tables(self, content: pa.Buffer, path: str) -> Iterator[pa.Table]:
        try:
            rows = [_features(record) for record in _records(content)]
        except ValueError as error:
            raise ValueError(f"Failed to read TFRecords file: {path}: {error}") from error
        # A column's form follows from the whole file; tables of one file must not differ.
        types = {**_types(rows, path), **dict(self.types)}
        remaining = iter(rows)
        while part := list(islice(remaining, _ROWS)):
            yield pa.table({name: _column(part, name, kind) for name, kind in types.items()})

    def schema(self) -> None:
        return None


def types_of_schema(tf_schema: Any) -> tuple[tuple[str, pa.DataType], ...]:
    """Arrow types of the features in a schema of TensorFlow Metadata; with a shape of one value, plain ones.

    Raises:
        ValueError: A feature has no type.
    """
    found = []
    for feature in tf_schema.feature:
        kind = _SCHEMA_KINDS.get(feature.type)
        if kind is None:
            raise ValueError(f"feature {feature.name!r} of the schema has none of the types BYTES, INT and FLOAT")
        sizes = [dimension.size for dimension in feature.shape.dim]
        found.append((feature.name, kind if all(size == 1 for size in sizes) else pa.list_(kind)))
    return tuple(found)


def _records(content: pa.Buffer) -> Iterator[bytes]:
    """The bytes of each frame.

    Raises:
        ValueError: A frame is cut off, or differs from its checksum.
    """
    view, place, end = memoryview(content), 0, content.size
    while place < end:
        if place + _HEADER.size > end:
            raise ValueError(f"the frame at byte {place} is cut off")
        size, check = _HEADER.unpack_from(view, place)
        if checksum(bytes(view[place : place + 8])) != check:
            raise ValueError(f"the length of the frame at byte {place} does not match its checksum")
        start = place + _HEADER.size
        place = start + size + _FOOTER.size
        if place > end:
            raise ValueError(f"the frame at byte {start - _HEADER.size} is cut off")
        record = bytes(view[start : start + size])
        if checksum(record) != _FOOTER.unpack_from(view, start + size)[0]:
            raise ValueError(f"the frame at byte {start - _HEADER.size} does not match its checksum")
        yield record


def framed(record: bytes) -> bytes:
    """A record in its frame."""
    length = len(record).to_bytes(8, "little")
    return b"".join((length, _FOOTER.pack(checksum(length)), record, _FOOTER.pack(checksum(record))))


def checksum(data: bytes) -> int:
    """The masked CRC-32C that frames have."""
    found = int(library("google_crc32c", "google-crc32c", "TFRecords").value(data))
    return (((found >> 15) | (found << 17)) + 0xA282EAD8) & 0xFFFFFFFF


def _features(record: bytes) -> Features:
    message = example_class("read_tfrecords")()
    try:
        message.ParseFromString(record)
    except library("google.protobuf.message", "protobuf", "read_tfrecords").DecodeError as error:
        raise ValueError(f"a record is no tf.train.Example: {error}") from error
    found: Features = {}
    for name, feature in message.features.feature.items():
        kind = feature.WhichOneof("kind")
        found[name] = (kind, [] if kind is None else list(getattr(feature, kind).value))
    return found


def _types(rows: list[Features], path: str) -> dict[str, pa.DataType]:
    names = sorted({name for row in rows for name in row})
    found = {}
    for name in names:
        values = [row[name] for row in rows if name in row and row[name][0] is not None]
        kinds = {kind for kind, _ in values}
        if len(kinds) > 1:
            raise ValueError(
                f"Failed to read TFRecords file: {path}: feature {name!r} is {' and '.join(sorted(map(str, kinds)))}"
            )
        kind = _KINDS[str(kinds.pop())] if kinds else pa.null()
        plain = all(len(items) == 1 for _, items in values)
        found[name] = kind if plain else pa.list_(kind)
    return found


def _column(rows: list[Features], name: str, kind: pa.DataType) -> pa.Array:
    values = [row.get(name, (None, [])) for row in rows]
    if pa.types.is_list(kind):
        return pa.array([None if found is None else items for found, items in values], type=kind)
    for _, items in values:
        if len(items) > 1:
            raise ValueError(f"feature {name!r} has {len(items)} values, and one in the schema that was given")
    return pa.array([items[0] if items else None for _, items in values], type=kind)
