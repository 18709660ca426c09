"""Resource trackers: processes that remove what others have left in shared memory, once all these have ended.

`multiprocessing` and loky start one for who makes shared memory, semaphores or temporary folders. It works when its
pipe closes, so it must outlive the processes that it tracks.
"""

from __future__ import annotations

import contextlib
import os
import time

__all__ = ("is_resource_tracker", "members_of_group", "wait_for_ends")

_ENTRY = b"resource_tracker import main"
_LOOK_S = 0.005


def is_resource_tracker(pid: int) -> bool:
    """Whether a process is one."""
    with contextlib.suppress(OSError), open(f"/proc/{pid}/cmdline", "rb") as file:
        return _ENTRY in file.read()
    return False


def members_of_group(group: int) -> list[int]:
    """The processes of a process group, zombies left out."""
    found = []
    with contextlib.suppress(OSError):
        for name in os.listdir("/proc"):
            if name.isdigit():
                with contextlib.suppress(OSError), open(f"/proc/{name}/stat", "rb") as file:
                    fields = file.read().rpartition(b")")[2].split()
                    if int(fields[2]) == group and fields[0] not in (b"Z", b"X"):
                        found.append(int(name))
    return found


def wait_for_ends(pids: list[int], limit_s: float) -> None:
    """Wait until processes have ended, at most so long; those that are children of this one become zombies."""
    deadline = time.monotonic() + limit_s
    while any(_runs(pid) for pid in pids) and time.monotonic() < deadline:
        time.sleep(_LOOK_S)


def _runs(pid: int) -> bool:
    with contextlib.suppress(OSError), open(f"/proc/{pid}/stat", "rb") as file:
        return file.read().rpartition(b")")[2].split()[0] not in (b"Z", b"X")
    return False
