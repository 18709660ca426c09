"""Cells of metrics: the values that a process has recorded, in files of its session that the dashboard reads.

A value is written by one copy into memory, and is there also when the process is killed right after. The format is that
of prometheus_client's files for several processes, which reads them; nobody has to import it to record.
"""

from __future__ import annotations

import json
import mmap
import os
import struct
import warnings
from collections.abc import Mapping

from ray_async.engine.current import current_session, get_session, has_session

__all__ = ("FOLDER", "MOST_SERIES", "MetricCells", "cells_of_session")

FOLDER = "metrics"
#: Sets of tags of one metric: whoever makes a tag of each user's name fills no memory with them.
MOST_SERIES = 1000

_FIRST_SIZE = 1 << 12
_HEAD = 8
_WORDS = struct.Struct("dd")
_SIZE = struct.Struct("i")


class _CellFile:
    def __init__(self, path: str) -> None:
        self._descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        self._size = _FIRST_SIZE
        os.ftruncate(self._descriptor, self._size)
        self._memory = mmap.mmap(self._descriptor, self._size)
        self._used = _HEAD
        self._memory[:4] = _SIZE.pack(self._used)
        self._places: dict[str, int] = {}

    def write(self, key: str, value: float) -> None:
        place = self._places.get(key)
        if place is None:
            place = self._places[key] = self._add(key)
        # One copy: what is read meanwhile is the value before or after, and never a part of it.
        self._memory[place : place + 16] = _WORDS.pack(value, 0.0)

    def _add(self, key: str) -> int:
        data = key.encode()
        padding = b" " * (8 - (len(data) + 4) % 8)
        entry = _SIZE.pack(len(data)) + data + padding + _WORDS.pack(0.0, 0.0)
        while self._used + len(entry) > self._size:
            self._size *= 2
            os.ftruncate(self._descriptor, self._size)
            self._memory.close()
            self._memory = mmap.mmap(self._descriptor, self._size)
        self._memory[self._used : self._used + len(entry)] = entry
        self._used += len(entry)
        self._memory[:4] = _SIZE.pack(self._used)  # last: who reads now sees all of the entry
        return self._used - 16

    def close(self) -> None:
        self._memory.close()
        os.close(self._descriptor)


class MetricCells:
    """The cells of this process in a session.

    Args:
        session_dir: The session's folder.
    """

    def __init__(self, session_dir: str) -> None:
        self._folder = os.path.join(session_dir, FOLDER)
        os.makedirs(self._folder, 0o700, exist_ok=True)
        self._pid = os.getpid()
        self._files: dict[str, _CellFile] = {}
        self._keys: dict[tuple[str, str, tuple[tuple[str, str], ...]], str | None] = {}
        self._series: dict[str, int] = {}

    def write(
        self, kind: str, name: str, text: str, sample: str, tags: tuple[tuple[str, str], ...], value: float
    ) -> None:
        """Write one value.

        Args:
            kind: "counter", "gauge" or "histogram".
            name, text: the metric's, and its meaning.
            sample: which of its values: a histogram has several.
            tags: the value's.
            value: what it is now.
        """
        found = (name, sample, tags)
        if found not in self._keys:
            self._keys[found] = self._key(name, text, sample, tags)
        key = self._keys[found]
        if key is not None:
            file = self._files.get(kind)
            if file is None:
                of = f"{kind}_all" if kind == "gauge" else kind
                file = self._files[kind] = _CellFile(os.path.join(self._folder, f"{of}_{self._pid}.db"))
            file.write(key, value)

    def _key(self, name: str, text: str, sample: str, tags: tuple[tuple[str, str], ...]) -> str | None:
        count = self._series[sample] = self._series.get(sample, 0) + 1
        if count > MOST_SERIES * (64 if sample.endswith("_bucket") else 1):
            if count == MOST_SERIES + 1:
                warnings.warn(
                    f"the metric {name!r} has more than {MOST_SERIES} sets of tags: further ones are not shown",
                    UserWarning,
                    stacklevel=2,
                )
            return None
        return json.dumps([name, sample, dict(tags), text], sort_keys=True)

    def close(self) -> None:
        """Write no more; what was written stays."""
        for file in self._files.values():
            file.close()
        self._files.clear()


class _Current:
    """The cells of the current session, as long as it lasts."""

    def __init__(self) -> None:
        self.cells: MetricCells | None = None

    def unbind(self, ended: bool) -> None:
        if ended and self.cells is not None:
            self.cells.close()
            self.cells = None


_current = _Current()
_unbind = _current.unbind


def cells_of_session() -> tuple[MetricCells | None, bool]:
    """The cells of the current session, and whether they are new: then what was recorded before is to be written.

    None where this process is not connected, or the session has no folder.
    """
    if _current.cells is not None:
        return _current.cells, False
    if not has_session():
        return None, False
    info: Mapping[str, object] = get_session().address_info()
    folder = info.get("session_dir")
    if not isinstance(folder, str) or not folder:
        return None, False
    _current.cells = MetricCells(folder)
    current_session.bindings.add(_unbind)
    return _current.cells, True
