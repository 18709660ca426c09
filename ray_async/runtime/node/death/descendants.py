"""Children that the node has by its descendants' deaths: what a dead zygote forked, and what workers started."""

from __future__ import annotations

import contextlib
import os
import signal
import time

from ray_async.runtime.node.resource_trackers import is_resource_tracker, members_of_group, wait_for_ends

__all__ = ("TRACKER_S", "end_all", "end_group", "end_trackers", "wait_status")

TRACKER_S = 2.0
"""Seconds that a resource tracker has for its work."""


def wait_status(pid: int) -> int:
    """Wait status of a process that was sent SIGKILL, once it has ended; that of SIGKILL where another one got it."""
    try:
        return os.waitpid(pid, 0)[1]
    except ChildProcessError:
        # Not our child: without a subreaper (other systems than Linux) init has it.
        while _exists(pid):
            time.sleep(0.001)
        return int(signal.SIGKILL)


def end_group(group: int) -> list[int]:
    """Kill the processes of a process group, without its resource trackers, which are given back."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(group, 0)  # the usual case is that there are none
        while True:
            members = members_of_group(group)
            trackers = [pid for pid in members if is_resource_tracker(pid)]
            if not trackers:
                os.killpg(group, signal.SIGKILL)
                return []
            if len(trackers) == len(members):
                return trackers
            for pid in members:
                if pid not in trackers:
                    _kill(pid)
    return []


def end_trackers(pids: list[int]) -> None:
    """Kill resource trackers that have had their time."""
    for pid in pids:
        if is_resource_tracker(pid):
            _kill(pid)


def end_all(spared: tuple[int, ...] = ()) -> None:
    """Kill and reap all children of this process but the spared ones; theirs too, as they become ours.

    Resource trackers come last: they get the time to remove what the others have left.
    """
    trackers: list[int] = []
    while True:
        children = [pid for pid in _children() if pid not in spared and pid not in trackers]
        trackers += [pid for pid in children if is_resource_tracker(pid)]
        ending = [pid for pid in children if pid not in trackers]
        for pid in ending:
            _kill(pid)
        for pid in ending:
            _reap(pid)
        if not ending:
            break
    if trackers:
        wait_for_ends(trackers, TRACKER_S)
        for pid in trackers:
            _kill(pid)
            _reap(pid)


def _kill(pid: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)


def _reap(pid: int) -> None:
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
