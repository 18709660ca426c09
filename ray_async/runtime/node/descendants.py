"""Children that the node has by its descendants' deaths: what a dead zygote forked, and what workers started."""

from __future__ import annotations

import contextlib
import os
import signal
import time

__all__ = ("end_all", "wait_status")


def wait_status(pid: int) -> int:
    """Wait status of a process that was sent SIGKILL, once it has ended; that of SIGKILL where another one got it."""
    try:
        return os.waitpid(pid, 0)[1]
    except ChildProcessError:
        # Not our child: without a subreaper (other systems than Linux) init has it.
        while _exists(pid):
            time.sleep(0.001)
        return int(signal.SIGKILL)


def end_all(spared: tuple[int, ...] = ()) -> None:
    """Kill and reap all children of this process but the spared ones; theirs too, as they become ours."""
    while True:
        children = [pid for pid in _children() if pid not in spared]
        if not children:
            return
        for pid in children:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        for pid in children:
            with contextlib.suppress(ChildProcessError):
                os.waitpid(pid, 0)


def _children() -> list[int]:
    with contextlib.suppress(OSError), open(f"/proc/self/task/{os.getpid()}/children") as file:
        return [int(pid) for pid in file.read().split()]
    return []  # a kernel that does not list them


def _exists(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True
