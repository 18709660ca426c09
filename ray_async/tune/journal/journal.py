"""Journal of a search: all that happened, in one file that only grows.

A frame is a length, a checksum and pickled records. A kill in the middle of a write leaves a torn frame at the end,
which is cut off by whoever opens the file next. An open journal is locked by the system, so that the lock of a dead
process is nobody's.
"""

from __future__ import annotations

import fcntl
import os
import pickle
import struct
import zlib
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from ray_async.tune.error import TuneError
from ray_async.tune.journal.ended_trials import EndedTrials
from ray_async.tune.journal.pickling import dumps
from ray_async.tune.journal.snapshot import JOURNAL, write_snapshot
from ray_async.tune.journal.snapshot import NAME as SNAPSHOT_NAME

if TYPE_CHECKING:
    from ray_async.tune.experiment.trial import Trial

__all__ = ("SearchJournal", "journal_size", "read_journal")

NAME = JOURNAL
MAGIC = b"ray_async tune 1\n"
_FRAME = struct.Struct("<II")


def _put_aside(folder: str) -> None:
    """Give journal and settings of an earlier search other names, if no live process has them."""
    SearchJournal(folder).close()
    number = 1
    while os.path.exists(os.path.join(folder, f"{number}-{NAME}")):
        number += 1
    for name in (NAME, "tuner.pkl", SNAPSHOT_NAME):
        if os.path.exists(os.path.join(folder, name)):
            os.rename(os.path.join(folder, name), os.path.join(folder, f"{number}-{name}"))


class SearchJournal:
    """The journal of a search, open for writing.

    Args:
        folder: The experiment's directory.
        anew: Whether a search begins: what an earlier one of that name has left is put aside.

    Raises:
        TuneError: A live process has it open.
    """

    def __init__(self, folder: str, anew: bool = False) -> None:
        self._folder = folder
        self._ended = EndedTrials()
        self.path = os.path.join(folder, NAME)
        if anew and os.path.exists(self.path):
            _put_aside(folder)
        self._file = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            self._lock(folder)
            self.opened_size = os.fstat(self._file).st_size
            end = _sound_end(self.path)
            os.ftruncate(self._file, end)
            os.lseek(self._file, 0, os.SEEK_END)
            if end == 0:
                self._write(MAGIC)
        except BaseException:
            os.close(self._file)
            raise

    def _lock(self, folder: str) -> None:
        owner = os.path.join(folder, ".owner")
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            pid = "unknown"
            if os.path.exists(owner):
                with open(owner) as file:
                    pid = file.read()
            raise TuneError(f"the experiment in {folder} is running, in process {pid}: give another name") from None
        with open(owner, "w") as file:
            file.write(str(os.getpid()))

    def append(self, records: Sequence[Any]) -> None:
        """Write records; they are the system's when this returns.

        Args:
            records: The records.

        Raises:
            OSError: The disk is full, or the like; what was written in part is cut off.
        """
        payload = dumps(records)
        self._write(_FRAME.pack(len(payload), zlib.crc32(payload)) + payload)

    def _write(self, data: bytes) -> None:
        began = os.lseek(self._file, 0, os.SEEK_CUR)
        view = memoryview(data)
        try:
            while view:
                view = view[os.write(self._file, view) :]
        except OSError as error:
            os.ftruncate(self._file, began)
            os.lseek(self._file, began, os.SEEK_SET)
            error.filename = error.filename or self.path
            raise

    def keep(self, parts: Any, trials: dict[str, Trial]) -> bool:
        """Write a snapshot of the search as it is after all that was written.

        Args:
            parts: What the search holds beside its trials.
            trials: These, by id.

        Returns:
            Whether it could be pickled.
        """
        return write_snapshot(self._folder, self.size, parts, trials, self._ended)

    def note_end(self, trial: Trial) -> None:
        """Take a trial that has ended, so that the next snapshots have less to do.

        Args:
            trial: The trial.
        """
        self._ended.add(trial)

    @property
    def size(self) -> int:
        """Bytes that were written so far."""
        return os.lseek(self._file, 0, os.SEEK_CUR)

    def close(self) -> None:
        """Close the file, and give the lock back."""
        os.close(self._file)


def _frames(path: str, start: int = 0) -> Iterator[tuple[int, bytes]]:
    """End and payload of each sound frame."""
    with open(path, "rb") as file:
        if file.read(len(MAGIC)) != MAGIC:
            return
        end = max(len(MAGIC), start)
        file.seek(end)
        while len(head := file.read(_FRAME.size)) == _FRAME.size:
            length, checksum = _FRAME.unpack(head)
            payload = file.read(length)
            if len(payload) < length or zlib.crc32(payload) != checksum:
                return
            end += _FRAME.size + length
            yield end, payload


def _sound_end(path: str) -> int:
    end = 0
    if os.path.getsize(path) >= len(MAGIC):
        with open(path, "rb") as file:
            if file.read(len(MAGIC)) != MAGIC:
                raise TuneError(f"{path} is no journal of a search")
        end = len(MAGIC)
    for frame_end, _ in _frames(path):
        end = frame_end
    return end


def journal_size(folder: str) -> int:
    """Bytes of a journal.

    Args:
        folder: The experiment's directory.
    """
    path = os.path.join(folder, NAME)
    return os.path.getsize(path) if os.path.exists(path) else 0


def read_journal(folder: str, start: int = 0) -> Iterator[Any]:
    """All records of a journal, in order, up to a torn end.

    Args:
        folder: The experiment's directory.
        start: Where to begin: the end of a frame.
    """
    path = os.path.join(folder, NAME)
    if not os.path.exists(path):
        return
    for _, payload in _frames(path, start):
        for record in pickle.loads(payload):
            # A runner's messages are kept as they came, pickled.
            yield (
                ("messages", record[1], pickle.loads(record[2]))
                if type(record) is tuple and record[0] == "packed"
                else record
            )
