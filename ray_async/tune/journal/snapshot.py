"""Snapshots: a search as it was at a place of its journal, so that a restore need not repeat all that came before.

The journal stays whole, since it has every report. A snapshot that is missing, damaged, of another version or ahead of
its journal is passed over, and the journal is repeated from its beginning.
"""

from __future__ import annotations

import contextlib
import gc
import io
import logging
import os
import pickle
import struct
import zlib
from collections.abc import Iterator
from typing import Any

from ray_async.tune.experiment.trial import Trial
from ray_async.tune.journal.ended_trials import EndedTrials
from ray_async.tune.journal.pickling import Pickler

__all__ = ("SnapshotClock", "collector_paused", "read_snapshot", "write_snapshot")

NAME = "snapshot.bin"
JOURNAL = "journal.bin"
MAGIC = b"ray_async tune snapshot 2\n"
_HEAD = struct.Struct("<QIQI")
_LENGTH = struct.Struct("<Q")
# A snapshot is due when so many seconds have passed and the journal has grown so much since the last one.
SECONDS = 5.0
GROWTH = 1.5
# What a snapshot of it would save takes no time to repeat.
SMALLEST = 200_000

_logger = logging.getLogger("ray_async.tune")


def write_snapshot(folder: str, place: int, parts: Any, trials: dict[str, Trial], ended: EndedTrials) -> bool:
    """Write a snapshot in place of the last one.

    Args:
        folder: The experiment's directory.
        place: Bytes of the journal that it stands for.
        parts: What the search holds beside its trials.
        trials: These, by id.
        ended: Those among them that were pickled when they ended.

    Returns:
        Whether it could be pickled: a searcher or scheduler of the user's need not be.

    Raises:
        OSError: The disk is full, or the like; the last snapshot stays.
    """
    path = os.path.join(folder, NAME)
    with open(f"{path}.part", "wb") as file:
        file.write(MAGIC + bytes(_HEAD.size))
        length = checksum = 0
        try:
            for piece in _pieces(parts, trials, ended):
                file.write(piece)
                length, checksum = length + len(piece), zlib.crc32(piece, checksum)
        except OSError:
            raise
        except Exception as error:  # whatever a user's class says of being pickled
            _logger.debug("there is no snapshot of the search: %s", error)
            file.close()
            os.unlink(file.name)
            return False
        file.seek(len(MAGIC))
        file.write(_HEAD.pack(place, _mark(folder, place), length, checksum))
    os.replace(f"{path}.part", path)
    return True


class _Pickler(Pickler):
    """Pickles what refers to trials: these are pickled by themselves."""

    def persistent_id(self, obj: Any) -> str | None:
        return obj.trial_id if isinstance(obj, Trial) else None


class _Unpickler(pickle.Unpickler):
    """The other way round.

    Args:
        data: What was pickled.
        trials: The trials, by id.
    """

    def __init__(self, data: memoryview, trials: dict[str, Trial]) -> None:
        super().__init__(io.BytesIO(data))
        self._trials = trials

    def persistent_load(self, pid: Any) -> Trial:
        found = self._trials.get(pid)
        if found is None:
            found = self._trials[pid] = Trial.__new__(Trial)
        return found


def _pieces(parts: Any, trials: dict[str, Trial], ended: EndedTrials) -> Iterator[bytes]:
    """Frames: trials that stand alone, some at a time; an empty one; and last the others, with what the search holds.

    What the last one says of a trial holds, whatever is said before.
    """
    for pickled in ended.pickles(trials):
        yield from _framed(pickled)
    others = [trial.packed() for trial in trials.values() if not trial.stands_alone]
    file = io.BytesIO()
    _Pickler(file, 5).dump((parts, others, list(trials)))
    yield from _framed(b"")
    yield from _framed(file.getvalue())


def _framed(data: bytes) -> tuple[bytes, bytes]:
    return _LENGTH.pack(len(data)), data


def read_snapshot(folder: str, size: int) -> tuple[int, Any, dict[str, Trial]] | None:
    """Read a snapshot.

    Args:
        folder: The experiment's directory.
        size: Bytes of its journal.

    Returns:
        Bytes of the journal that it stands for, what the search held, and its trials; None if there is no sound one.
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
        with collector_paused():
            return place, *_loaded(packed)
    except Exception as error:  # classes that are not as they were
        _logger.info("the snapshot in %s cannot be read, so the journal is repeated: %s", folder, error)
        return None


def _loaded(data: memoryview) -> tuple[Any, dict[str, Trial]]:
    trials: dict[str, Trial] = {}
    while True:
        (length,) = _LENGTH.unpack_from(data)
        frame, data = data[_LENGTH.size : _LENGTH.size + length], data[_LENGTH.size + length :]
        if not length:
            break
        for packed in pickle.loads(frame):
            trial = Trial.unpacked(packed)
            trials[trial.trial_id] = trial
    parts, others, order = _Unpickler(data[_LENGTH.size :], trials).load()
    place = Trial.packed_place("trial_id")
    for packed in others:
        trials[packed[place]] = Trial.unpacked(packed, trials.get(packed[place]))
    return parts, {trial_id: trials[trial_id] for trial_id in order}


@contextlib.contextmanager
def collector_paused() -> Iterator[None]:
    """Keep the collector from looking at all trials again and again while they are made: it would find nothing."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
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
