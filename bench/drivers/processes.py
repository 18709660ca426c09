"""What the processes of one contender use: CPU time, private memory, shared memory, threads. Linux only.

A contender's processes are those that carry its mark in their environment, and all their descendants (some rewrite
the memory that the environment is read from).
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import time

MARK = "BENCH_CONTENDER"
END_SECONDS = 20.0  # given to a process that is to end
SHARED_FILES = ("/memfd:", "/dev/shm/")

__all__ = (
    "END_SECONDS",
    "MARK",
    "cpu_seconds",
    "cpu_seconds_of_ended",
    "kill_and_wait",
    "private_bytes",
    "processes_of",
    "shared_bytes",
    "thread_count",
)


def processes_of(mark: str) -> list[int]:
    """The ids of all processes of the contender marked `mark`."""
    wanted = f"{MARK}={mark}".encode()
    parents: dict[int, int] = {}
    found: set[int] = set()
    for name in os.listdir("/proc"):
        if not name.isdigit():
            continue
        stat = _read(f"/proc/{name}/stat")
        if not stat:
            continue
        parents[int(name)] = int(stat.rpartition(b")")[2].split()[1])
        if wanted in _read(f"/proc/{name}/environ").split(b"\0"):
            found.add(int(name))
    grown = True
    while grown:
        children = {pid for pid, parent in parents.items() if parent in found} - found
        found |= children
        grown = bool(children)
    return sorted(found)


def kill_and_wait(pid: int) -> None:
    """Kill a process and wait until it is gone, so that its end does not disturb who is measured next."""
    try:
        handle = os.pidfd_open(pid)
    except ProcessLookupError:
        return
    try:
        with contextlib.suppress(ProcessLookupError):
            signal.pidfd_send_signal(handle, signal.SIGKILL)
        select.select([handle], [], [], END_SECONDS)
    finally:
        os.close(handle)


def cpu_seconds(pid: int) -> float:
    """CPU time of all threads that the process ever had, to the nanosecond; 0 for a process that is gone."""
    clock = (~pid << 3) | 2  # the kernel's id of a process's CPU clock, as clock_getcpuclockid(3) makes it
    try:
        return time.clock_gettime(clock)
    except OSError:
        return 0.0


def cpu_seconds_of_ended(pid: int) -> float:
    """CPU time of the children that the process has waited for, and of theirs, in ticks of the kernel's (10 ms)."""
    fields = _read(f"/proc/{pid}/stat").rpartition(b")")[2].split()
    return (int(fields[13]) + int(fields[14])) / os.sysconf("SC_CLK_TCK") if fields else 0.0


def private_bytes(pid: int) -> int:
    """Memory that would come free if the process ended, without its part of shared mappings (the arena)."""
    own = (b"Private_Clean:", b"Private_Dirty:")
    total = 0
    counted: tuple[bytes, ...] = ()
    for line in _read(f"/proc/{pid}/smaps").splitlines():
        fields = line.split()
        if not fields[0].endswith(b":"):
            # Of a private mapping of the arena (a view) only what was written to is the process's.
            view = len(fields) > 5 and fields[5].startswith((b"/memfd:", b"/dev/shm/"))
            counted = () if fields[1].endswith(b"s") else (b"Anonymous:",) if view else own
        elif fields[0] in counted:
            total += int(fields[1]) * 1024
    return total


def shared_bytes(pids: list[int]) -> int:
    """Memory that the processes' memfd and /dev/shm files occupy, each file once."""
    sizes: dict[tuple[int, int], int] = {}
    for pid in pids:
        for folder in (f"/proc/{pid}/fd", f"/proc/{pid}/map_files"):
            for name in _list(folder):
                path = f"{folder}/{name}"
                status = _status(path)
                if status is not None:
                    sizes[status.st_dev, status.st_ino] = status.st_blocks * 512
    return sum(sizes.values())


def thread_count(pid: int) -> int:
    """Threads of the process now."""
    return len(_list(f"/proc/{pid}/task"))


def _status(path: str) -> os.stat_result | None:
    """The file behind a link of /proc, if it is shared memory."""
    try:
        return os.stat(path) if os.readlink(path).startswith(SHARED_FILES) else None
    except OSError:
        return None  # closed meanwhile, or not ours to look at


def _list(folder: str) -> list[str]:
    try:
        return os.listdir(folder)
    except OSError:
        return []  # the process ended meanwhile


def _read(path: str) -> bytes:
    try:
        with open(path, "rb") as file:
            return file.read()
    except OSError:
        return b""  # the process ended meanwhile
