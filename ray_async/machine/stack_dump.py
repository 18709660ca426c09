"""Stack dumps: a process writes the stacks of its Python threads when it is sent a signal, whatever its code does."""

from __future__ import annotations

import faulthandler
import os
import signal
import time
from typing import IO

__all__ = ("read_stacks", "take_requests")

# glibc keeps the first two for itself, and the third is the one of a replica's own stacks.
_SIGNAL = signal.SIGRTMIN + 2 if hasattr(signal, "SIGRTMIN") else None
_NAME = "stacks"  # one file for all: processes come and go
_PAUSE_S = 0.01

_file: IO[str] | None = None  # kept open: the handler knows its number only


def take_requests(folder: str) -> None:
    """Have this process answer to `read_stacks` from now on.

    Args:
        folder: Where it writes; only this user can enter it.
    """
    global _file
    if _SIGNAL is not None:
        _file = open(os.path.join(folder, _NAME), "a")  # noqa: SIM115
        faulthandler.register(_SIGNAL, file=_file, all_threads=True)


def read_stacks(pid: int, folder: str, patience_s: float = 2.0) -> str:
    """Have a process write its stacks, and return them. Only one process of a folder may be asked at a time.

    Args:
        pid: The process.
        folder: That of its `take_requests`.
        patience_s: Seconds that it has for it.

    Raises:
        ProcessLookupError: There is no such process, or it takes no requests.
        TimeoutError: It has written nothing in time: it is stopped, or its machine is too busy.
    """
    path = os.path.join(folder, _NAME)
    if not _takes_requests(pid) or not os.path.exists(path):
        raise ProcessLookupError(f"process {pid} writes no stacks")
    before = size = os.path.getsize(path)
    os.kill(pid, int(_SIGNAL or 0))
    end = time.monotonic() + patience_s
    while True:
        time.sleep(_PAUSE_S)
        last, size = size, os.path.getsize(path)
        if before < last == size:  # it has written all
            with open(path, "rb") as file:
                file.seek(before)
                return file.read().decode(errors="replace")
        if time.monotonic() > end:
            raise TimeoutError(f"process {pid} has not written its stacks within {patience_s} s: it may be stopped")


def _takes_requests(pid: int) -> bool:
    """Whether a process has a handler for the signal, which would end it otherwise."""
    if _SIGNAL is None:
        return False
    try:
        with open(f"/proc/{pid}/status", encoding="utf-8", errors="replace") as lines:
            caught = next((line.split()[1] for line in lines if line.startswith("SigCgt:")), "0")
    except FileNotFoundError:
        return False
    return bool(int(caught, 16) >> (_SIGNAL - 1) & 1)
