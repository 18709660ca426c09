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
from collections.abc import Sequence
from pathlib import Path

__all__ = ("Tallies", "Tally", "Waiting")

_SIZE = 512
_COUNTS = struct.Struct("IIII")  # waiting, sent, tenths of seconds, how many slots of the board follow
_SLOT = "H"
_MOST_SLOTS = (_SIZE - _COUNTS.size) // struct.calcsize(_SLOT)
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

    def note(self, waiting: int, sent: int, slots: Sequence[int]) -> None:
        """Write how many calls wait, how many replicas have been sent and not answered, and the slots of those."""
        slots = slots[:_MOST_SLOTS]
        struct.pack_into(f"{len(slots)}{_SLOT}", self._map, _COUNTS.size, *slots)
        _COUNTS.pack_into(self._map, 0, waiting, sent, _now(), len(slots))


def _end(mapping: mmap.mmap, descriptor: int, path: Path) -> None:
    mapping.close()
    os.close(descriptor)
    path.unlink(missing_ok=True)


class Waiting:
    """What the routers of a deployment have.

    Args:
        waiting: Calls that wait for a replica.
        arriving: Calls that wait, or were sent so lately that their replica may not have counted them yet.
        picked: The slots of replicas that were sent calls so lately.
    """

    __slots__ = ("arriving", "picked", "waiting")

    def __init__(self, waiting: int, arriving: int, picked: frozenset[int] = frozenset()) -> None:
        self.waiting = waiting
        self.arriving = arriving
        self.picked = picked


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
        picked: set[int] = set()
        for path in self._folder.glob(f"{_prefix(key)}*"):
            counts = _read(path)
            if counts is None:
                continue
            count, sent, at, slots = counts
            age = ((_now() - at) & 0xFFFFFFFF) / 10
            waiting += count if age < _WAITS_S else 0
            if age < _ARRIVES_S:
                arriving += count + sent
                picked.update(slots)
        return Waiting(waiting, arriving, frozenset(picked))


def _read(path: Path) -> tuple[int, int, int, tuple[int, ...]] | None:
    with contextlib.suppress(FileNotFoundError):  # its router has ended meanwhile
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            found = os.pread(descriptor, _SIZE, 0)
            waiting, sent, at, slots = _COUNTS.unpack_from(found)
            return waiting, sent, at, struct.unpack_from(f"{min(slots, _MOST_SLOTS)}{_SLOT}", found, _COUNTS.size)
        else:
            path.unlink(missing_ok=True)
        finally:
            os.close(descriptor)
    return None
