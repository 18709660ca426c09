"""WebDataset: tar files with a member for each value of each row."""

from __future__ import annotations

import io
import json
import tarfile
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from ray_async.data.block.rows import rows_of
from ray_async.data.block.tensors import PythonObjectType
from ray_async.data.sources.optional import library

__all__ = ("WebDatasetFormat",)

_PICTURES = {"jpg": "JPEG", "jpeg": "JPEG", "png": "PNG", "ppm": "PPM", "pgm": "PPM", "pbm": "PPM", "pnm": "PPM"}


@dataclass(frozen=True)
class WebDatasetFormat:
    """Tar files whose members are named ``<key>.<column>``; the key is the column ``__key__``, or the row's number.

    Attributes:
        encoder: True encodes values by their columns' endings; a function takes and returns a row; or several of these.
            None takes bytes and texts alone.
    """

    encoder: Any = True
    name = "WebDataset"
    extension = "tar"

    def encode(self, table: pa.Table, stream: Any) -> None:
        with tarfile.open(fileobj=stream, mode="w|", format=tarfile.PAX_FORMAT) as archive:
            for index, row in enumerate(rows_of(table)):
                encoded = self._encoded(row)
                key = encoded.pop("__key__", f"{index:06d}")
                for name, value in encoded.items():
                    if not name.startswith("__") and value is not None:
                        _add(archive, f"{key}.{name}", value)

    def check(self, schema: pa.Schema) -> None:
        for name, kind in zip(schema.names, schema.types, strict=True):
            if isinstance(kind, PythonObjectType):
                raise TypeError(f"column {name!r} holds Python objects, which have no form in WebDataset")

    def _encoded(self, row: dict[str, Any]) -> dict[str, Any]:
        steps = self.encoder if isinstance(self.encoder, (list, tuple)) else [self.encoder]
        for step in steps:
            if callable(step):
                row = step(row)
            elif step:
                row = {
                    name: value if name.startswith("__") else encoded(name.rsplit(".", 1)[-1].lower(), value)
                    for name, value in row.items()
                }
        return row


def encoded(ending: str, value: Any) -> Any:
    """A value's bytes, by the ending of its column.

    Raises:
        TypeError: The ending says nothing of such values.
    """
    if value is None or isinstance(value, bytes):
        return value
    if isinstance(value, str):
        return value.encode()
    if ending in ("json", "jsn"):
        return json.dumps(value, allow_nan=False).encode()
    if ending == "npy":
        buffer = io.BytesIO()
        np.save(buffer, np.asarray(value), allow_pickle=False)
        return buffer.getvalue()
    if ending in _PICTURES and isinstance(value, np.ndarray):
        buffer = io.BytesIO()
        library("PIL.Image", "pillow", "write_webdataset").fromarray(value).save(buffer, format=_PICTURES[ending])
        return buffer.getvalue()
    if ending in ("mp", "msgpack", "msg"):
        return library("msgpack", "msgpack", "write_webdataset").packb(value)
    if isinstance(value, int):
        return str(value).encode()
    raise TypeError(
        f"a column {ending!r} holds {type(value).__name__}, for which the ending names no form: "
        "call it .npy, .json or .png, or give an encoder"
    )


def _add(archive: tarfile.TarFile, name: str, value: Any) -> None:
    if isinstance(value, str):
        value = value.encode()
    if not isinstance(value, bytes):
        raise TypeError(f"member {name!r} is {type(value).__name__}, not bytes: give an encoder")
    member = tarfile.TarInfo(name)
    member.size = len(value)
    member.mode = 0o644
    archive.addfile(member, io.BytesIO(value))
