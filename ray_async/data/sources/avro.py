"""Avro files, by fastavro."""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from typing import Any

import pyarrow as pa

from ray_async.data.block.columns import column_of_values
from ray_async.data.sources.optional import library

__all__ = ("AvroReadFormat",)

_ROWS = 16_384
_PLAIN = {
    "null": pa.null(),
    "boolean": pa.bool_(),
    "int": pa.int32(),
    "long": pa.int64(),
    "float": pa.float32(),
    "double": pa.float64(),
    "bytes": pa.binary(),
    "string": pa.string(),
    "enum": pa.string(),
    "fixed": pa.binary(),
}
_LOGICAL = {
    "date": pa.date32(),
    "time-millis": pa.time32("ms"),
    "time-micros": pa.time64("us"),
    "timestamp-millis": pa.timestamp("ms", "UTC"),
    "timestamp-micros": pa.timestamp("us", "UTC"),
    "local-timestamp-millis": pa.timestamp("ms"),
    "local-timestamp-micros": pa.timestamp("us"),
}


@dataclass(frozen=True)
class AvroReadFormat:
    """Records of Avro's container files. Maps are Arrow's maps; unions of several types keep each value as it is."""

    name = "Avro"
    growth = 3.0
    compressed = True
    refuses_empty = True

    def tables(self, content: pa.Buffer, path: str) -> Iterator[pa.Table]:
        fastavro = library("fastavro", "fastavro", "read_avro")
        damaged = (ValueError, EOFError, LookupError, struct.error, zlib.error, fastavro.schema.SchemaParseException)
        try:
            records = fastavro.reader(io.BytesIO(content))
            fields = records.writer_schema.get("fields") if isinstance(records.writer_schema, dict) else None
            if fields is None:
                raise ValueError("its values are no records")
            kinds = {field["name"]: _arrow_type(field["type"], {}) for field in fields}
            first = True
            while (rows := list(islice(records, _ROWS))) or first:
                first = False
                yield pa.table({name: _column([row[name] for row in rows], kind) for name, kind in kinds.items()})
        except damaged as error:
            raise ValueError(f"Failed to read Avro file: {path}: {error or type(error).__name__}") from error

    def schema(self) -> None:
        return None


def _column(values: list[Any], kind: pa.DataType | None) -> pa.Array:
    return column_of_values(values) if kind is None else pa.array(values, type=kind)


def _arrow_type(schema: Any, named: dict[str, pa.DataType | None]) -> pa.DataType | None:
    """The Arrow type of an Avro type; None where there is none that holds its values."""
    if isinstance(schema, list):
        others = [part for part in schema if part != "null"]
        return _arrow_type(others[0], named) if len(others) == 1 else None
    if isinstance(schema, str):
        return named[schema] if schema in named else _PLAIN.get(schema)
    kind, logical = schema["type"], schema.get("logicalType")
    if logical == "decimal":
        return pa.decimal128(schema["precision"], schema.get("scale", 0)) if schema["precision"] <= 38 else None
    if logical is not None:
        return _LOGICAL.get(logical)
    if kind == "record":
        return _struct(schema, named)
    if kind in ("array", "map"):
        inner = _arrow_type(schema["items" if kind == "array" else "values"], named)
        if inner is None:
            return None
        return pa.list_(inner) if kind == "array" else pa.map_(pa.string(), inner)
    return _arrow_type(kind, named)


def _struct(schema: Mapping[str, Any], named: dict[str, pa.DataType | None]) -> pa.DataType | None:
    named[schema["name"]] = None  # a record inside of itself has no Arrow type
    fields = {field["name"]: _arrow_type(field["type"], named) for field in schema["fields"]}
    found = None if None in fields.values() else pa.struct(list(fields.items()))
    named[schema["name"]] = found
    return found
