"""WebDataset: tar files in which members whose names differ in their ending alone are the columns of one sample."""

from __future__ import annotations

import fnmatch
import io
import json
import tarfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

import numpy as np
import pyarrow as pa

from ray_async.data.block.rows import table_of_rows
from ray_async.data.sources.optional import library

__all__ = ("Sample", "WebDatasetReadFormat", "split_name")

Sample = dict[str, Any]
Choice = Callable[[str], bool] | Sequence[str] | None
Renaming = Callable[[str], str] | Sequence[tuple[str, str]] | None

_ROWS = 256
_BLOCK = tarfile.BLOCKSIZE
_TEXTS = frozenset(("txt", "text", "transcript"))
_NUMBERS = frozenset(("cls", "cls2", "class", "count", "index", "inx", "id"))
_PICTURES = frozenset(("jpg", "jpeg", "png", "ppm", "pgm", "pbm", "pnm"))


@dataclass(frozen=True)
class WebDatasetReadFormat:
    """Samples in order of their first members; members of a sample need not follow each other.

    Attributes:
        decoder: True decodes texts, numbers, JSON, NumPy arrays, pictures and MessagePack by their endings; a mode of
            Pillow's such as "rgb" decodes so, pictures in that mode; a function takes and returns a sample; or several
            of these. None leaves bytes. Pickles are never read.
        fileselect: which members are read: a function of the name, or patterns.
        filerename: new names of members: a function, or pairs of an old and a new piece.
        suffixes: which columns are read: a function of the name, or patterns.
        expand_json: whether the items of a JSON object become columns of their own.
    """

    decoder: Any = True
    fileselect: Choice = None
    filerename: Renaming = None
    suffixes: Choice = None
    expand_json: bool = False
    name = "WebDataset"
    growth = 4.0
    compressed = True
    refuses_empty = True

    def tables(self, content: pa.Buffer, path: str) -> Iterator[pa.Table]:
        try:
            samples = iter(self._samples(content))
            while part := [self._decoded(sample) for sample in islice(samples, _ROWS)]:
                yield table_of_rows(part)
        except (tarfile.TarError, ValueError, EOFError) as error:
            raise ValueError(f"Failed to read WebDataset file: {path}: {error}") from error

    def schema(self) -> None:
        return None

    def _samples(self, content: pa.Buffer) -> Iterator[Sample]:
        found: dict[str, Sample] = {}
        for original, data in _members(content):
            if not _chosen(original, self.fileselect):
                continue
            name = _renamed(original, self.filerename)
            key, column = split_name(name)
            if not column or not _chosen(column, self.suffixes):
                continue
            sample = found.setdefault(key, {"__key__": key})
            if column in sample:
                raise ValueError(f"sample {key!r} has two members {column!r}")
            sample[column] = data
        yield from found.values()

    def _decoded(self, sample: Sample) -> Sample:
        steps = self.decoder if isinstance(self.decoder, (list, tuple)) else [self.decoder]
        for step in steps:
            if callable(step):
                sample = step(sample)
            elif step:
                mode = "RGB" if step is True else str(step).upper().removeprefix("PIL") or "RGB"
                sample = {name: self._value(name, value, mode, sample) for name, value in sample.items()}
        if self.expand_json:
            sample = _expanded(sample)
        return sample

    def _value(self, name: str, value: Any, mode: str, sample: Sample) -> Any:
        if name.startswith("__") or not isinstance(value, bytes):
            return value
        try:
            return decoded(name.rsplit(".", 1)[-1].lower(), value, mode)
        except (ValueError, OSError, EOFError) as error:
            raise ValueError(f"member {name!r} of sample {sample['__key__']!r}: {error}") from error


def decoded(ending: str, value: bytes, mode: str) -> Any:
    """A member's value by its ending; bytes where the ending says nothing."""
    if ending in _TEXTS:
        return value.decode("utf-8")
    if ending in _NUMBERS:
        return int(value)
    if ending in ("json", "jsn"):
        return json.loads(value)
    if ending == "npy":
        return np.load(io.BytesIO(value), allow_pickle=False)
    if ending in _PICTURES:
        image = library("PIL.Image", "pillow", "read_webdataset")
        with image.open(io.BytesIO(value)) as picture:
            return np.asarray(picture.convert(mode) if mode != "DEFAULT" else picture)
    if ending in ("mp", "msgpack", "msg"):
        return library("msgpack", "msgpack", "read_webdataset").unpackb(value)
    return value


def split_name(name: str) -> tuple[str, str]:
    """A member's key, with its folders, and its column: what stands behind the first dot of the last part."""
    folder, slash, last = name.rpartition("/")
    stem, _, column = last.partition(".")
    return folder + slash + stem, column


def _members(content: pa.Buffer) -> Iterator[tuple[str, bytes]]:
    """Names and contents of the regular files of a tar, or of several in a row.

    Raises:
        tarfile.TarError, ValueError: It is damaged or cut off.
    """
    data, place = memoryview(content), 0
    while place < len(data):
        with tarfile.open(fileobj=pa.BufferReader(content.slice(place)), mode="r:") as archive:
            for member in archive:
                file = archive.extractfile(member) if member.isfile() else None
                if file is not None:
                    value = file.read()
                    if len(value) != member.size:
                        raise ValueError(f"member {member.name!r} is cut off")
                    yield member.name, value
            end = place + archive.offset
        # A header that is cut off is an end to tarfile; a real end is a block of zeros.
        if bytes(data[end : end + _BLOCK]) != bytes(_BLOCK):
            raise ValueError("it is cut off")
        place = _next_block(data, end)


def _next_block(data: memoryview, place: int) -> int:
    """Where behind an archive's end the next one begins; the end of the file if there is none."""
    while place < len(data) and not bytes(data[place : place + _BLOCK]).strip(b"\0"):
        place += _BLOCK
    return place


def _chosen(name: str, choice: Choice) -> bool:
    if choice is None:
        return True
    return bool(choice(name)) if callable(choice) else any(fnmatch.fnmatch(name, pattern) for pattern in choice)


def _renamed(name: str, renaming: Renaming) -> str:
    if callable(renaming):
        return renaming(name)
    for old, new in renaming or ():
        name = name.replace(old, new)
    return name


def _expanded(sample: Sample) -> Sample:
    found: Sample = {}
    for name, value in sample.items():
        if name.rsplit(".", 1)[-1] in ("json", "jsn") and isinstance(value, dict):
            found |= value
        else:
            found[name] = value
    return found
