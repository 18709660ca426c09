"""JSON files: an object in each line."""

from __future__ import annotations

import base64
import datetime
import decimal
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ray_async.data.block.rows import rows_of
from ray_async.data.block.tensors import PythonObjectType

__all__ = ("JSONFormat",)

_ROWS = 8192


@dataclass(frozen=True)
class JSONFormat:
    """JSON lines: floats by their shortest exact form, times in ISO's format, NaN and infinity as null."""

    name = "JSON"
    extension = "json"

    def encode(self, table: pa.Table, stream: Any) -> None:
        table = _with_exact_times(table)
        encoder = json.JSONEncoder(ensure_ascii=False, allow_nan=False, default=_plain, separators=(",", ":"))
        plain = not any(_may_hold_floats(kind) for kind in table.schema.types)
        for start in range(0, table.num_rows, _ROWS):
            lines = [
                encoder.encode(row if plain else _finite(row)) + "\n" for row in rows_of(table.slice(start, _ROWS))
            ]
            stream.write("".join(lines).encode())

    def check(self, schema: pa.Schema) -> None:
        for name, kind in zip(schema.names, schema.types, strict=True):
            if pa.types.is_binary(kind) or pa.types.is_large_binary(kind) or isinstance(kind, PythonObjectType):
                raise TypeError(f"column {name!r} is {kind}, which has no form in JSON: drop it, or write Parquet")


def _with_exact_times(table: pa.Table) -> pa.Table:
    """Times as texts: of nanoseconds Python's own would lose digits."""
    for index, kind in enumerate(table.schema.types):
        if pa.types.is_timestamp(kind):
            column = table.column(index)
            utc = column.cast(pa.timestamp(kind.unit, "UTC")) if kind.tz is not None else column
            text = pc.strftime(utc, format="%Y-%m-%dT%H:%M:%S")
            if kind.tz is not None:
                text = pc.binary_join_element_wise(text, pa.scalar("Z"), "")
            table = table.set_column(index, table.column_names[index], text)
    return table


def _may_hold_floats(kind: pa.DataType) -> bool:
    return pa.types.is_floating(kind) or pa.types.is_nested(kind) or isinstance(kind, pa.BaseExtensionType)


def _finite(value: Any) -> Any:
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {name: _finite(item) for name, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_finite(item) for item in value]
    if isinstance(value, np.ndarray):
        return _finite(value.tolist())
    return value


def _plain(value: Any) -> Any:
    if isinstance(value, (datetime.datetime, datetime.date, datetime.time)):
        return value.isoformat()
    if isinstance(value, datetime.timedelta):
        return value.total_seconds()
    if isinstance(value, decimal.Decimal):
        return float(value)
    if isinstance(value, np.ndarray):
        return value.tolist()
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    if hasattr(value, "isoformat"):
        return value.isoformat()
    raise TypeError(f"{value!r} ({type(value).__name__}) has no form in JSON")
