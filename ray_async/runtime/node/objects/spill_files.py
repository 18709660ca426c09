"""Files of spilled objects: one for each, within a budget, written and read on a thread of their own.

A disk may take a second for what memory does in a millisecond, and the node has deaths to report meanwhile.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import shutil
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

__all__ = ("SpillFiles",)

_logger = logging.getLogger("ray_async.node")

_Result = TypeVar("_Result")
_PIECE_BYTES = 8 << 20  # bytes between looks whether the session ends


class SpillFiles:
    """Keeps objects by their numbers.

    The disk that files may take is bounded: by a budget, and by leaving a share of the file system free.

    Args:
        directory: of the files; made when it is first needed.
        budget: bytes of all files; 0: no bound.
        capacity: share of the file system that may be in use.
        complain: called with the error when the disk takes no file, once for each reason.
        others: bytes that something else takes of the budget.
        changed: called with the bytes of all files when they have changed.
    """

    def __init__(
        self,
        directory: str,
        budget: int,
        capacity: float,
        complain: Callable[[OSError], None],
        others: Callable[[], int] = lambda: 0,
        changed: Callable[[int], None] = lambda size: None,
    ) -> None:
        self._directory = directory
        self._budget = budget
        self._capacity = capacity
        self._warn = complain
        self._others = others
        self._changed = changed
        self._complaints: set[str] = set()
        self._next = 1
        self._sizes: dict[int, int] = {}
        self._total = 0
        self._kept: dict[int, memoryview] = {}
        self._thread: ThreadPoolExecutor | None = None
        self._ending = False

    @property
    def bytes_on_disk(self) -> int:
        """Bytes of all files."""
        return self._total

    def have_room(self, size: int) -> bool:
        """Whether so many bytes more are allowed."""
        if self._budget and self.bytes_on_disk + self._others() + size > self._budget:
            return False
        try:
            os.makedirs(self._directory, mode=0o700, exist_ok=True)
            usage = os.statvfs(self._directory)
        except OSError as error:
            self._complain(error)
            return False
        free = usage.f_bavail * usage.f_frsize
        return free - size > (1 - self._capacity) * usage.f_blocks * usage.f_frsize

    async def write(self, data: memoryview) -> int:
        """Write an object; returns its number, or 0 when the disk does not take it."""
        number = self.new_number()
        return number if await self.rewrite(number, data) else 0

    def new_number(self) -> int:
        """A number that no object has had."""
        self._next += 1
        return self._next - 1

    async def rewrite(self, number: int, data: memoryview) -> bool:
        """Write an object that has a number already; returns whether the disk has taken it."""
        error = await self._on_thread(self._write, number, data)
        if error is not None:
            self._complain(error)
            return False
        self._resize(number, len(data))
        return True

    def keep(self, number: int, data: memoryview) -> None:
        """Keep an object in this process's memory, as neither the store nor the disk has room."""
        self._kept[number] = data

    async def read(self, number: int, target: memoryview) -> bool:
        """Read an object into memory of its size; returns whether all of it was there."""
        if number in self._kept:
            target[:] = self._kept[number]
            return True
        # What has no size has no file: it has gone with its logical node.
        return number in self._sizes and await self._on_thread(self._read, number, target)

    def remove(self, number: int) -> None:
        """Forget an object."""
        if number in self._sizes:
            self._resize(number, None)
        self._kept.pop(number, None)
        with contextlib.suppress(FileNotFoundError):
            os.unlink(self._path(number))

    def remove_all(self) -> None:
        """The session ends: break off what is under way, and remove everything."""
        self._ending = True
        if self._thread is not None:
            self._thread.shutdown(wait=True, cancel_futures=True)
        shutil.rmtree(self._directory, ignore_errors=True)

    def _resize(self, number: int, size: int | None) -> None:
        self._total += (size or 0) - self._sizes.pop(number, 0)
        if size is not None:
            self._sizes[number] = size
        self._changed(self._total)

    async def _on_thread(
        self, function: Callable[[int, memoryview], _Result], number: int, data: memoryview
    ) -> _Result:
        if self._thread is None:
            self._thread = ThreadPoolExecutor(1, thread_name_prefix="ray::spill")
        return await asyncio.get_running_loop().run_in_executor(self._thread, function, number, data)

    def _write(self, number: int, data: memoryview) -> OSError | None:
        path = self._path(number)
        try:
            with open(path, "wb", buffering=0) as file:
                written = 0
                while written < len(data) and not self._ending:
                    written += file.write(data[written : written + _PIECE_BYTES])
        except OSError as error:
            with contextlib.suppress(OSError):
                os.unlink(path)
            return error
        return None

    def _read(self, number: int, target: memoryview) -> bool:
        try:
            with open(self._path(number), "rb", buffering=0) as file:
                done = 0
                while done < len(target) and not self._ending:
                    count = file.readinto(target[done : done + _PIECE_BYTES])
                    if not count:
                        return False
                    done += count
        except OSError as error:
            _logger.error("spill file %d cannot be read: %s", number, error)
            return False
        return True

    def _complain(self, error: OSError) -> None:
        if str(error) not in self._complaints:
            self._complaints.add(str(error))
            self._warn(error)

    def _path(self, number: int) -> str:
        return os.path.join(self._directory, str(number))
