"""Processes by number and start, since numbers are used again; whether they are alive is asked of their descriptors."""

from __future__ import annotations

import os
import select
import threading
from typing import NamedTuple

__all__ = ("Peers", "ProcessIdentity", "own_identity")

_STATE, _START = 0, 19  # fields of /proc/PID/stat after the name


class ProcessIdentity(NamedTuple):
    """A process that no later one is mistaken for.

    Args:
        pid: its number.
        start: when it began, in clock ticks since the machine did.
    """

    pid: int
    start: int

    def __str__(self) -> str:
        return f"process {self.pid}"


def own_identity() -> ProcessIdentity:
    """The process that asks."""
    found = _look(os.getpid())
    if found is None:
        raise OSError("GPU arrays between processes need /proc")
    return found


def _look(pid: int) -> ProcessIdentity | None:
    try:
        with open(f"/proc/{pid}/stat", encoding="ascii", errors="replace") as file:
            fields = file.read().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return None
    return None if fields[_STATE] in "ZX" else ProcessIdentity(pid, int(fields[_START]))


class Peers:
    """Other processes, each watched by a descriptor that says when it has ended."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._watched: dict[ProcessIdentity, int] = {}
        self._dead: set[ProcessIdentity] = set()

    def is_alive(self, process: ProcessIdentity) -> bool:
        """Whether a process lives; after the first time this is one system call."""
        with self._lock:
            if process in self._dead:
                return False
            fd = self._watched.get(process)
            if fd is None:
                fd = _watch(process)
                if fd is not None:
                    self._watched[process] = fd
            if fd is not None:
                poll = select.poll()
                poll.register(fd, select.POLLIN)
                if not poll.poll(0):
                    return True
                os.close(self._watched.pop(process))
            self._dead.add(process)
            return False

    def close(self) -> None:
        """Close all descriptors."""
        with self._lock:
            for fd in self._watched.values():
                os.close(fd)
            self._watched.clear()


def _watch(process: ProcessIdentity) -> int | None:
    try:
        fd = os.pidfd_open(process.pid)
    except ProcessLookupError:
        return None
    # Looked at after the descriptor is open: the number cannot have become another process's since.
    if _look(process.pid) == process:
        return fd
    os.close(fd)
    return None
