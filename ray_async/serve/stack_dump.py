"""Stacks of a replica that does not answer: it writes them when it is sent a signal, whatever its Python code does."""

from __future__ import annotations

import faulthandler
import os
import re
import signal
import sysconfig
import time
from pathlib import Path
from typing import IO

__all__ = ("blocking_frame", "stack_path", "take_requests", "user_frame")

_SIGNAL = signal.SIGRTMIN + 1 if hasattr(signal, "SIGRTMIN") else None
_PATIENCE = 0.5  # seconds for a process to write its stacks
_PAUSE = 0.01
_FRAME = re.compile(r'^  File "(?P<file>.*)", line (?P<line>\d+) in (?P<name>.*)$', re.MULTILINE)
_THREAD = re.compile(r"^(?:Current thread|Thread) 0x.*$", re.MULTILINE)
_PACKAGE = str(Path(__file__).resolve().parents[1])
_LIBRARY = sysconfig.get_path("stdlib")


def stack_path(folder: Path, place: int) -> Path:
    """The file into which the replica in a slot of the board writes its stacks."""
    return folder / f"stack-{place}.txt"


def take_requests(path: Path) -> IO[str] | None:
    """Write the stacks of this process into a file whenever it is asked to; the file must be kept open."""
    if _SIGNAL is None:
        return None
    file = path.open("w")
    faulthandler.register(_SIGNAL, file=file, all_threads=True)
    return file


def blocking_frame(pid: int, path: Path) -> str:
    """Say what keeps a process from answering.

    Args:
        pid: The process, which takes requests for its stacks.
        path: The file into which it writes them.
    """
    if _SIGNAL is None or not pid:
        return "nothing is known of what it does"
    try:
        if _is_stopped(pid):
            return "its process is stopped"
        before = path.stat().st_size
        os.kill(pid, _SIGNAL)
        end = time.monotonic() + _PATIENCE
        size = before
        while time.monotonic() < end:
            time.sleep(_PAUSE)
            last, size = size, path.stat().st_size
            if before < last == size:  # it has written all
                break
        text = path.read_bytes()[before:].decode(errors="replace")
    except OSError as error:
        return f"its stack cannot be read: {error}"
    frame = user_frame(text)
    return f"its loop is blocked in {frame}" if frame else "its loop is not blocked, but its check does not end"


def _is_stopped(pid: int) -> bool:
    stat = Path(f"/proc/{pid}/stat")
    return stat.exists() and stat.read_text().rpartition(")")[2].split()[0] in ("T", "t")


def user_frame(text: str) -> str | None:
    """The innermost frame of the user's in the main thread, as ``name (file:line)``; None if there is none.

    Args:
        text: What `faulthandler` has written.
    """
    threads = _THREAD.split(text)
    if len(threads) < 2:
        return None
    for found in _FRAME.finditer(threads[-1]):  # the main thread is the oldest, and comes last
        file = found["file"]
        installed = "site-packages" in file or "dist-packages" in file
        is_ours = file.startswith((_PACKAGE, "<frozen")) or found["name"] == "<module>"
        if not is_ours and (installed or not file.startswith(_LIBRARY)):
            return f"{found['name']} ({file}:{found['line']})"
    return None
