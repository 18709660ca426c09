"""Snapshots: a search as it was at a place of its journal, so that a restore need not repeat all that came before.

The journal stays whole, since it has every report. A snapshot that is missing, damaged, of another version or ahead of
its journal is passed over, and the journal is repeated from its beginning.
"""

from __future__ import annotations

import gc
import logging
import os
import pickle
import struct
import zlib
from typing import Any

import cloudpickle

__all__ = ("SnapshotClock", "read_snapshot", "write_snapshot")

NAME = "snapshot.bin"
JOURNAL = "journal.bin"
MAGIC = b"ray_async tune snapshot 1\n"
_HEAD = struct.Struct("<QIQI")
# A snapshot is due when so many seconds have passed and the journal has grown so much since the last one.
SECONDS = 5.0
GROWTH = 1.5
# What a snapshot of it would save takes no time to repeat.
SMALLEST = 200_000

_logger = logging.getLogger("ray_async.tune")


def write_snapshot(folder: str, place: int, parts: Any) -> bool:
    """Write a snapshot in place of the last one.

    Args:
        folder: The experiment's directory.
        place: Bytes of the journal that it stands for.
        parts: What the search holds.

    Returns:
        Whether it could be pickled: a searcher or scheduler of the user's need not be.

    Raises:
        OSError: The disk is full, or the like; the last snapshot stays.
    """
    try:
        packed = _packed(parts)
    except Exception as error:  # whatever a user's class says of being pickled
        _logger.debug("there is no snapshot of the search: %s", error)
        return False
    path = os.path.join(folder, NAME)
    with open(f"{path}.part", "wb") as file:
        file.write(MAGIC + _HEAD.pack(place, _mark(folder, place), len(packed), zlib.crc32(packed)) + packed)
    os.replace(f"{path}.part", path)
    return True


def _packed(parts: Any) -> bytes:
    try:
        return pickle.dumps(parts, 5)
    except Exception:  # of lambdas and local classes; cloudpickle has the last word
        packed: bytes = cloudpickle.dumps(parts)
        return packed


def read_snapshot(folder: str, size: int) -> tuple[int, Any] | None:
    """Read a snapshot.

    Args:
        folder: The experiment's directory.
        size: Bytes of its journal.

    Returns:
        Bytes of the journal that it stands for, and what the search held; None if there is no sound one.
    """
    path = os.path.join(folder, NAME)
    if not os.path.exists(path):
        return None
    with open(path, "rb") as file:
        data = file.read()
    body = len(MAGIC) + _HEAD.size
    if not data.startswith(MAGIC) or len(data) < body:
        return None
    place, mark, length, checksum = _HEAD.unpack_from(data, len(MAGIC))
    packed = memoryview(data)[body:]
    if place > size or len(packed) != length or zlib.crc32(packed) != checksum or mark != _mark(folder, place):
        return None
    try:
        return place, _loaded(packed)
    except Exception as error:  # classes that are not as they were
        _logger.info("the snapshot in %s cannot be read, so the journal is repeated: %s", folder, error)
        return None


def _loaded(packed: memoryview) -> Any:
    # The collector would look at all trials again and again while they are made, and find nothing.
    was_on = gc.isenabled()
    gc.disable()
    try:
        return pickle.loads(packed)
    finally:
        if was_on:
            gc.enable()


def _mark(folder: str, place: int) -> int:
    """What tells a journal from another one of that name: a checksum of its beginning, and so of its first trials."""
    path = os.path.join(folder, JOURNAL)
    if not os.path.exists(path):
        return 0
    with open(path, "rb") as file:
        return zlib.crc32(file.read(min(place, 4096)))


class SnapshotClock:
    """When the next snapshot is due.

    Args:
        now: Seconds of a clock.
        place: Bytes of the journal.
    """

    def __init__(self, now: float, place: int) -> None:
        self._since = now
        self._place = max(place, SMALLEST)
        self.works = True

    def is_due(self, now: float, place: int) -> bool:
        """Tell whether a snapshot is due, and count it as made then.

        Args:
            now: Seconds of the same clock.
            place: Bytes of the journal by now.
        """
        if not self.works or place < GROWTH * self._place or now < self._since + SECONDS:
            return False
        self._since, self._place = now, place
        return True
