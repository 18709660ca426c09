"""Cells: numbers of one process in a mapped file, which others read while the process lives and after its end.

The file begins with the number of bytes that are in use. Entries follow: the length of a key, the number of its cells,
the key, and the cells, each eight bytes and aligned. The owner holds a lock on the file as long as it lives. A cell has
one writer and is written at once, so that neither a kill nor a reader finds half a number.
"""

from __future__ import annotations

import contextlib
import fcntl
import mmap
import os
import struct
from collections.abc import Iterator
from pathlib import Path

__all__ = ("Cells", "read_cells")

_SIZE = 4 * 2**20  # bytes of a file; it is sparse
_HEAD = struct.Struct("<Q")
_ENTRY = struct.Struct("<II")


class Cells:
    """The numbers of this process.

    Args:
        path: The file, which must not exist yet.
        size: The most bytes.
    """

    def __init__(self, path: Path, size: int = _SIZE) -> None:
        self.path = path
        new = path.with_suffix(".new")
        self._descriptor = os.open(new, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        fcntl.flock(self._descriptor, fcntl.LOCK_EX)
        os.ftruncate(self._descriptor, size)
        self._map = mmap.mmap(self._descriptor, size)
        self._used = _HEAD.size
        _HEAD.pack_into(self._map, 0, self._used)
        self.numbers = memoryview(self._map).cast("d")
        new.rename(path)  # it has its lock by now: nobody takes it for that of an ended process

    def add(self, key: str, count: int = 1) -> int | None:
        """Make cells of a key, which are 0.

        Returns:
            The index of the first one in `numbers`; None when the file is full.
        """
        data = key.encode()
        data += b" " * (-len(data) % 8)
        end = self._used + _ENTRY.size + len(data) + 8 * count
        if end > len(self._map):
            return None
        _ENTRY.pack_into(self._map, self._used, len(data), count)
        begin = self._used + _ENTRY.size
        self._map[begin : begin + len(data)] = data
        self._used = end
        _HEAD.pack_into(self._map, 0, end)
        return (begin + len(data)) // 8

    def close(self) -> None:
        """Let go of the file, which stays."""
        self.numbers.release()
        self._map.close()
        os.close(self._descriptor)


def read_cells(path: Path) -> tuple[bool, dict[str, tuple[float, ...]]]:
    """Read the numbers of a process.

    Returns:
        Whether the process lives, and its numbers by their keys.

    Raises:
        FileNotFoundError: The file is gone.
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        lives = not _take(descriptor)
        used = _HEAD.unpack(os.pread(descriptor, _HEAD.size, 0))[0]
        data = os.pread(descriptor, used, 0)
    finally:
        os.close(descriptor)
    return lives, dict(_entries(data))


def _take(descriptor: int) -> bool:
    with contextlib.suppress(BlockingIOError):
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
        return True
    return False


def _entries(data: bytes) -> Iterator[tuple[str, tuple[float, ...]]]:
    place = _HEAD.size
    while place < len(data):
        length, count = _ENTRY.unpack_from(data, place)
        place += _ENTRY.size
        key = data[place : place + length].decode().rstrip()
        place += length
        yield key, struct.unpack_from(f"<{count}d", data, place)
        place += 8 * count
