"""Avro files, by fastavro."""

from __future__ import annotations

import io
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from ray_async.data.sources.optional import library

__all__ = ("AvroFormat",)


@dataclass(frozen=True)
class AvroFormat:
    """Avro's container files; every column may be null.

    Attributes:
        codec: "null", "deflate", or another one of fastavro's.
    """

    codec: str = "deflate"
    name = "Avro"
    extension = "avro"

    def encode(self, table: pa.Table, stream: Any) -> None:
        fastavro = library("fastavro", "fastavro", "write_avro")
        buffer = io.BytesIO()
        schema = fastavro.parse_schema(_record("row", list(table.schema)))
        maps = [field.name for field in table.schema if pa.types.is_map(field.type)]
        fastavro.writer(buffer, schema, (_with_maps(row, maps) for row in table.to_pylist()), codec=self.codec)
        stream.write(buffer.getvalue())

    def check(self, schema: pa.Schema) -> None:
        for field in schema:
            _avro_type(field.type, field.name)


def _with_maps(row: dict[str, Any], maps: list[str]) -> dict[str, Any]:
    for name in maps:
        row[name] = None if row[name] is None else dict(row[name])
    return row


def _record(name: str, fields: list[pa.Field]) -> dict[str, Any]:
    described = [
        {"name": field.name, "type": ["null", _avro_type(field.type, f"{name}.{field.name}")], "default": None}
        for field in fields
    ]
    return {"type": "record", "name": name.replace(".", "__"), "fields": described}


def _avro_type(kind: pa.DataType, path: str) -> Any:
    """The Avro type of an Arrow type.

    Raises:
        TypeError: There is none; the column is named.
    """
    plain = _plain(kind)
    if plain is not None:
        return plain
    types = pa.types
    if types.is_decimal128(kind):
        return {"type": "bytes", "logicalType": "decimal", "precision": kind.precision, "scale": kind.scale}
    if types.is_timestamp(kind) and kind.unit in ("s", "ms", "us"):
        fine = "micros" if kind.unit == "us" else "millis"
        return {"type": "long", "logicalType": f"timestamp-{fine}" if kind.tz else f"local-timestamp-{fine}"}
    if isinstance(kind, pa.BaseExtensionType) or types.is_fixed_size_list(kind):
        raise TypeError(f"column {path.removeprefix('row.')!r} is {kind}, which has no form in Avro")
    if types.is_list(kind) or types.is_large_list(kind):
        return {"type": "array", "items": ["null", _avro_type(kind.value_type, f"{path}.item")]}
    if types.is_map(kind) and types.is_string(kind.key_type) and "." not in path.removeprefix("row."):
        return {"type": "map", "values": ["null", _avro_type(kind.item_type, f"{path}.value")]}
    if types.is_struct(kind):
        return _record(path, list(kind))
    raise TypeError(f"column {path.removeprefix('row.')!r} is {kind}, which has no form in Avro")


def _plain(kind: pa.DataType) -> Any:
    types = pa.types
    if types.is_null(kind):
        return {"type": "string"}  # beside null; a union may not name a type twice
    if types.is_boolean(kind):
        return "boolean"
    if types.is_integer(kind) and kind != pa.uint64():
        return "int" if kind.bit_width < 32 or kind == pa.int32() else "long"
    if types.is_floating(kind):
        return "double" if kind == pa.float64() else "float"
    if types.is_string(kind) or types.is_large_string(kind):
        return "string"
    if types.is_binary(kind) or types.is_large_binary(kind):
        return "bytes"
    if types.is_date(kind):
        return {"type": "int", "logicalType": "date"}
    if types.is_time(kind) and kind.unit in ("s", "ms", "us"):
        return {"type": "long", "logicalType": "time-micros"}
    return None
