"""Children of a trial: processes that its code has started and left behind end with it.

Workers of a data loader, subprocesses and the like would hold memory, or a GPU, into the next trial on this worker.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys

__all__ = ("children", "end_children")


def children() -> set[int]:
    """Process ids of this process's children; zombies are among them."""
    try:
        # One system call, where there are none.
        os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
    except ChildProcessError:
        return set()
    return set(_children_of(os.getpid()))


def end_children(before: set[int]) -> list[int]:
    """End the children that were not there before, with all that they have started.

    Args:
        before: What `children` gave before the trial. Servants of multiprocessing, which serve the whole process, stay.

    Returns:
        The process ids of those children that were ended.
    """
    found = children()
    if not found:
        return []
    found -= before | _servants()
    for pid in found:
        for descendant in [pid, *_descendants(pid)]:
            with contextlib.suppress(ProcessLookupError):
                os.kill(descendant, signal.SIGKILL)
    for pid in found:
        # Somebody else of this process may have waited for it by now.
        with contextlib.suppress(ChildProcessError):
            os.waitpid(pid, 0)
    return sorted(found)


def _children_of(pid: int) -> list[int]:
    found: list[int] = []
    with contextlib.suppress(FileNotFoundError, ProcessLookupError):
        for task in os.listdir(f"/proc/{pid}/task"):
            path = f"/proc/{pid}/task/{task}/children"
            with contextlib.suppress(FileNotFoundError, ProcessLookupError), open(path) as file:
                found += [int(child) for child in file.read().split()]
    return found


def _descendants(pid: int) -> list[int]:
    found = []
    for child in _children_of(pid):
        found += [child, *_descendants(child)]
    return found


def _servants() -> set[int]:
    """The resource tracker and the fork server, if they run."""
    tracker = sys.modules.get("multiprocessing.resource_tracker")
    server = sys.modules.get("multiprocessing.forkserver")
    pids = {
        getattr(getattr(tracker, "_resource_tracker", None), "_pid", None),
        getattr(getattr(server, "_forkserver", None), "_forkserver_pid", None),
    }
    return {pid for pid in pids if pid is not None}
