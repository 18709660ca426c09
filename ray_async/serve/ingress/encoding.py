"""Encoding of what handlers return as an HTTP body."""

from __future__ import annotations

import dataclasses
import datetime
import decimal
import enum
import json
import math
import pathlib
import uuid
from collections.abc import Iterable, Mapping
from typing import Any

__all__ = ("encode", "plain")

_TEXT = b"text/plain; charset=utf-8"
_BYTES = b"text/plain"
_JSON = b"application/json"
_dumps = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":"), check_circular=True).encode


def encode(value: Any) -> tuple[bytes, bytes]:
    """The body and content type of a returned value; NaN and infinities become null.

    Raises:
        TypeError: The value, or a part of it, cannot be encoded.
    """
    if isinstance(value, str):
        return value.encode(), _TEXT
    if value is None:
        return b"", _BYTES
    if isinstance(value, bytes | bytearray | memoryview):
        return bytes(value), _BYTES
    try:
        return _dumps(value).encode(), _JSON
    except (TypeError, ValueError):
        return _dumps(plain(value)).encode(), _JSON


def plain(value: Any) -> Any:
    """The value made of what JSON has.

    Raises:
        TypeError: No way is known to do that.
    """
    if value is None or (isinstance(value, bool | str) and not isinstance(value, enum.Enum)):
        return value
    if isinstance(value, enum.Enum):
        return plain(value.value)
    if isinstance(value, int):
        return int(value)
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {key if isinstance(key, str) else str(plain(key)): plain(item) for key, item in value.items()}
    special = _special(value)
    if special is not value:
        return plain(special)
    if isinstance(value, Iterable):
        return [plain(item) for item in value]
    raise TypeError(f"a value of type {type(value).__module__}.{type(value).__qualname__} cannot be encoded as JSON")


def _special(value: Any) -> Any:
    """What stands for a value of a known type; the value itself for others."""
    if hasattr(value, "model_dump"):  # pydantic
        return value.model_dump(mode="json")
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
    if isinstance(value, datetime.date | datetime.time):
        return value.isoformat()
    if isinstance(value, datetime.timedelta):
        return value.total_seconds()
    if isinstance(value, decimal.Decimal):
        return int(value) if value.as_tuple().exponent == 0 else float(value)
    if isinstance(value, uuid.UUID | pathlib.PurePath):
        return str(value)
    if isinstance(value, bytes):
        return value.decode()
    if hasattr(value, "to_dict") and hasattr(value, "columns"):  # a data frame
        return value.to_dict(orient="records")
    if hasattr(value, "tolist"):  # arrays, tensors, their scalars
        return value.tolist()
    return value
