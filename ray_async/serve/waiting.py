"""Waiting calls, as the controller sees them: each router of a scaled deployment keeps a small file with its counts.

A router writes the counts through a mapping, and holds a lock on the file: who gets the lock knows that the router's
process has died. The counts carry the time, since a loop that has ended does not take its own back.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import mmap
import os
import struct
import time
import weakref
from pathlib import Path

__all__ = ("Tallies", "Tally", "Waiting")

_SIZE = 64
_COUNTS = struct.Struct("III")  # waiting, sent, tenths of seconds
_WAITS_S = 5.0  # seconds for which a count of waiting calls holds: a router with such calls looks at them often
_ARRIVES_S = 1.0  # seconds after which a call that was sent is on its replica's own count


def _prefix(key: str) -> str:
    return f"waiting-{hashlib.sha256(key.encode()).hexdigest()[:16]}-"


def _now() -> int:
    return int(time.monotonic() * 10) & 0xFFFFFFFF


class Tally:
    """The counts of one router.

    Args:
        folder: Serve's folder.
        key: The deployment's key.
    """

    def __init__(self, folder: Path, key: str) -> None:
        path = folder / f"{_prefix(key)}{os.getpid()}-{os.urandom(4).hex()}"
        new = path.with_name(f"new-{path.name}")
        descriptor = os.open(new, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        os.ftruncate(descriptor, _SIZE)
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        self._map = mmap.mmap(descriptor, _SIZE)
        new.rename(path)  # nobody sees it unlocked
        weakref.finalize(self, _end, self._map, descriptor, path)

    def note(self, waiting: int, sent: int) -> None:
        """Write how many calls wait, and how many replicas have been sent and not answered."""
        _COUNTS.pack_into(self._map, 0, waiting, sent, _now())


def _end(mapping: mmap.mmap, descriptor: int, path: Path) -> None:
    mapping.close()
    os.close(descriptor)
    path.unlink(missing_ok=True)


class Waiting:
    """What the routers of a deployment have.

    Args:
        waiting: Calls that wait for a replica.
        arriving: Calls that wait, or were sent so lately that their replica may not have counted them yet.
    """

    __slots__ = ("arriving", "waiting")

    def __init__(self, waiting: int, arriving: int) -> None:
        self.waiting = waiting
        self.arriving = arriving


class Tallies:
    """Reads the counts of all routers.

    Args:
        folder: Serve's folder.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def of(self, key: str) -> Waiting:
        """What the routers of a deployment have; files of processes that have died are removed."""
        waiting = arriving = 0
        for path in self._folder.glob(f"{_prefix(key)}*"):
            counts = _read(path)
            if counts is None:
                continue
            count, sent, at = counts
            age = ((_now() - at) & 0xFFFFFFFF) / 10
            waiting += count if age < _WAITS_S else 0
            arriving += count + sent if age < _ARRIVES_S else 0
        return Waiting(waiting, arriving)


def _read(path: Path) -> tuple[int, int, int] | None:
    with contextlib.suppress(FileNotFoundError):  # its router has ended meanwhile
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            waiting, sent, at = _COUNTS.unpack(os.pread(descriptor, _COUNTS.size, 0))
            return waiting, sent, at
        else:
            path.unlink(missing_ok=True)
        finally:
            os.close(descriptor)
    return None
