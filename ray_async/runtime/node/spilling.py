"""Objects to disk when the store is full, and back when they are wanted."""

from __future__ import annotations

import contextlib
import logging
import os
import shutil
from typing import TYPE_CHECKING

from ray_async import exceptions as errors
from ray_async._core.spill_view import SpillView
from ray_async.config import (
    AUTOMATIC_OBJECT_SPILLING,
    LINEAGE_PINNING_ENABLED,
    LOCAL_FS_CAPACITY_THRESHOLD,
    OBJECT_SPILLING_THRESHOLD,
    SPILL_BUDGET_BYTES,
)

if TYPE_CHECKING:
    from ray_async.runtime.node.process import Node

__all__ = ("Spilling",)

_logger = logging.getLogger("ray_async.node")

_BATCH = 64 << 20


class Spilling:
    """Moves the oldest objects that nobody looks at into files, one for each object.

    The disk that files may take is bounded: by the setting, and by leaving a share of the file system free.

    Args:
        node: the process's parts.
    """

    def __init__(self, node: Node) -> None:
        self._node = node
        self._view = node.view
        self._payloads = SpillView(node.arena)
        self._records = node.records
        self._objects = node.objects
        settings = node.settings
        self._directory: str = node.config["spill_path"]
        self._next = 1
        self._sizes: dict[int, int] = {}
        self._stuck = 0
        self._complaints: set[str] = set()
        self._kept: dict[int, bytearray] = {}  # objects for which neither the store nor the disk has room
        self._enabled = settings.get(AUTOMATIC_OBJECT_SPILLING)
        self._capacity = settings.get(LOCAL_FS_CAPACITY_THRESHOLD)
        self._budget = settings.get(SPILL_BUDGET_BYTES)
        self._rebuilds = settings.get(LINEAGE_PINNING_ENABLED)
        self._threshold = settings.get(OBJECT_SPILLING_THRESHOLD)

    @property
    def bytes_on_disk(self) -> int:
        """Bytes of all spill files."""
        return sum(self._sizes.values())

    def make_room(self, wanted: int) -> None:
        """A process waits for so many bytes: spill at least that much."""
        freed = self._spill(max(wanted, 1 << 20)) > 0 or self._view.mend_used()
        self._stuck = 0 if freed else self._stuck + 1
        self._payloads.set_spill_stuck(self._stuck)

    def tick(self) -> None:
        """Spill ahead of need, when the store is nearly full."""
        figures = self._view.statistics()
        excess = figures["used"] - int(figures["limit"] * self._threshold)
        if excess > 0 and self._stuck < 3 and not self._view.mend_used():
            self._spill(min(excess, _BATCH))

    def _spill(self, wanted: int) -> int:
        freed = 0
        for entry, size in self._payloads.spill_candidates(wanted):
            if not self._room_on_disk(size):
                break
            if self._spill_one(entry):
                freed += size
        return freed

    def _room_on_disk(self, size: int) -> bool:
        if not self._enabled or (self._budget and self.bytes_on_disk + size > self._budget):
            return False
        try:
            os.makedirs(self._directory, mode=0o700, exist_ok=True)
            usage = os.statvfs(self._directory)
        except OSError as error:
            self._complain(error)
            return False
        free = usage.f_bavail * usage.f_frsize
        return free - size > (1 - self._capacity) * usage.f_blocks * usage.f_frsize

    def _spill_one(self, entry: int) -> bool:
        data = self._payloads.spill_begin(entry)
        if data is None:
            return False
        number = self._next
        self._next += 1
        if not self._write(number, data):
            self._payloads.spill_failed(entry)
            return False
        del data
        self._payloads.spill_done(entry, number)
        return True

    def _write(self, number: int, data: memoryview) -> bool:
        path = self._path(number)
        try:
            with open(path, "wb", buffering=0) as file:
                written = 0
                while written < len(data):
                    written += file.write(data[written:])
        except OSError as error:
            with contextlib.suppress(OSError):
                os.unlink(path)
            self._complain(error)
            return False
        self._sizes[number] = len(data)
        return True

    def _complain(self, error: OSError) -> None:
        """Warn of a disk that does not take objects; once for each reason, since every attempt meets it."""
        if str(error) not in self._complaints:
            self._complaints.add(str(error))
            self._node.listeners.warn(f"objects cannot be spilled to {self._directory}: {error}")

    def _path(self, number: int) -> str:
        return os.path.join(self._directory, str(number))

    def lose_copies(self, number: int) -> None:
        """A logical node is gone, and large values of which no other one has a copy: as if their files were lost.

        What may be computed again, but cannot be (a stream, a call of an actor, arguments that are gone), stays, and so
        does what was put.
        """
        for entry, file in self._payloads.copies_lost(number):
            if self._rebuilds and self._must_stay(entry):
                self._payloads.keep(entry)
            elif file:
                self._remove(file)
            elif self._payloads.drop(entry, self._next):
                self._next += 1

    def _must_stay(self, entry: int) -> bool:
        record = self._records.record_of(entry)
        if not record:
            return True
        return not self._records.can_rebuild(record) and bool(self._node.executor.facts(record)["retries"])

    # -- back ----------------------------------------------------------------------------------------------------------

    def wanted(self, entry: int) -> None:
        """A spilled object is to be read, or nobody refers to it any more."""
        facts = self._payloads.spilled(entry)
        if facts is None:
            return
        number, size, unreferenced = facts
        if unreferenced:
            self._forget(entry, number)
            return
        memory = self._payloads.restore_begin(entry)
        if memory is None:
            self.make_room(size)
            memory = self._payloads.restore_begin(entry)
        if memory is None and self._exchange(entry, number, size):
            return
        if memory is None:
            if self._stuck > 2:
                error = errors.ObjectStoreFullError(
                    "no room to bring a spilled object back: too much of the store is in use. Drop references and "
                    "arrays that are not needed any more, or start with a larger object_store_memory."
                )
                self._payloads.lose(entry, errors.to_payload(error))
            else:
                self._node.later(0.05, lambda: self.wanted(entry))
            return
        payload, target = memory
        if not self._read(number, target):
            self._payloads.restore_failed(entry, payload)
            self._lost(entry, number)
            return
        del target, memory
        self._payloads.restore_done(entry, payload)
        self._remove(number)

    def _exchange(self, entry: int, number: int, size: int) -> bool:
        """Memory and disk are both full: take the object off the disk first, which makes room there for others.

        Returns False when all in memory is in use; then the object is on disk again.
        """
        data = bytearray(size)
        if not self._read(number, memoryview(data)):
            return False
        self._remove(number)
        self.make_room(size)
        memory = self._payloads.restore_begin(entry)
        if memory is None:
            # Nothing was moved into its place, or not enough: as long as this function runs, nobody else spills.
            if not self._write(number, memoryview(data)):
                self._kept[number] = data  # the disk filled up meanwhile, by somebody else's doing
            return False
        payload, target = memory
        target[:] = data
        del target, memory
        self._payloads.restore_done(entry, payload)
        return True

    def _read(self, number: int, target: memoryview) -> bool:
        if number in self._kept:
            target[:] = self._kept[number]
            return True
        if number not in self._sizes:
            return False  # it has gone with its logical node
        try:
            with open(self._path(number), "rb", buffering=0) as file:
                done = 0
                while done < len(target):
                    count = file.readinto(target[done:])
                    if not count:
                        return False
                    done += count
        except OSError as error:
            _logger.error("spill file %d cannot be read: %s", number, error)
            return False
        return True

    def _lost(self, entry: int, number: int) -> None:
        """The file is gone: run the task again that made the object, if that is possible."""
        self._remove(number)
        record = self._records.record_of(entry)
        numbers = self._records.rebuild(record) if record and self._rebuilds else None
        if numbers is not None:
            for each in numbers:  # the task's other results come anew, too
                self._remove(each)
            self._node.tasks.waiting(record)
            return
        if not record:
            reason = errors.ReconstructionFailure.PUT
        elif not self._rebuilds:
            reason = errors.ReconstructionFailure.LINEAGE_DISABLED
        elif (facts := self._node.executor.facts(record))["retries"] == 0:
            again = facts["attempt"] > 0
            failures = errors.ReconstructionFailure
            reason = failures.MAX_ATTEMPTS_EXCEEDED if again else failures.RETRIES_DISABLED
        else:
            reason = errors.ReconstructionFailure.LINEAGE_EVICTED
        ref = self._objects.reference(entry)
        error = errors.ObjectReconstructionFailedError(ref.hex(), reason)
        self._payloads.lose(entry, errors.to_payload(error))

    def _forget(self, entry: int, number: int) -> None:
        """Nobody refers to a spilled object: its references inside go, and the file."""
        memory = self._payloads.restore_begin(entry)
        if memory is not None and self._read(number, memory[1]):
            # Back in memory it is freed like any other value, and what it refers to as well.
            payload = memory[0]
            del memory
            self._payloads.restore_done(entry, payload)
        else:
            if memory is not None:
                self._payloads.restore_failed(entry, memory[0])
            self._payloads.forget(entry)
        self._remove(number)

    def _remove(self, number: int) -> None:
        self._sizes.pop(number, None)
        self._kept.pop(number, None)
        with contextlib.suppress(FileNotFoundError):
            os.unlink(self._path(number))

    def remove_files(self) -> None:
        """The session ends."""
        shutil.rmtree(self._directory, ignore_errors=True)
