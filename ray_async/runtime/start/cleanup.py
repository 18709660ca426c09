"""Cleanup after a session whose node process was killed: descendants, files, its registration."""

from __future__ import annotations

import contextlib
import os
import select
import shutil
import signal
import time
from typing import TYPE_CHECKING

from ray_async.runtime.node.death.descendants import TRACKER_S
from ray_async.runtime.node.resource_trackers import is_resource_tracker, wait_for_ends
from ray_async.runtime.start import node_control
from ray_async.runtime.start.node_launch import MARKER

if TYPE_CHECKING:
    from ray_async.runtime.messages.session_description import SessionDescription

__all__ = ("await_ends", "end_processes", "remove_files")

_PATIENCE_S = 2.0


def end_processes(marker: str) -> None:
    """Kill what still belongs to a session without a node.

    The kernel ends workers with their zygote, and the zygote with the node; what user code started, for instance
    programs in sessions of their own, it does not.

    Args:
        marker: what the node's launch has put into the environment of all of them.
    """
    variable = f"{MARKER}={marker}".encode()
    deadline = time.monotonic() + _PATIENCE_S
    trackers: list[int] = []
    while pids := [pid for pid in _pids() if pid not in trackers and _is_marked(pid, variable)]:
        trackers += [pid for pid in pids if is_resource_tracker(pid)]
        for pid in pids:
            if pid not in trackers:
                _kill(pid)
        if time.monotonic() > deadline:
            return  # what ignores SIGKILL so long hangs in the kernel
        time.sleep(0.002)
    if trackers:  # these remove what the others have left in shared memory
        wait_for_ends(trackers, TRACKER_S)
        for pid in trackers:
            if _is_marked(pid, variable):
                _kill(pid)


def _kill(pid: int) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.kill(pid, signal.SIGKILL)


def await_ends(pids: list[int], limit_s: float) -> None:
    """Wait until processes are gone that are being ended.

    Args:
        pids: theirs.
        limit_s: seconds to wait at most; what hangs in the kernel for longer stays.
    """
    deadline = time.monotonic() + limit_s
    left = list(pids)
    while left and time.monotonic() < deadline:
        left = [pid for pid in left if _is_running(pid)]
        if left:
            time.sleep(0.002)


def _is_running(pid: int) -> bool:
    try:
        if not hasattr(os, "pidfd_open"):
            os.kill(pid, 0)
            return True
        descriptor = os.pidfd_open(pid)
    except ProcessLookupError:
        return False
    try:
        ended = select.poll()  # readable also while the process is still to be reaped
        ended.register(descriptor, select.POLLIN)
        return not ended.poll(0)
    finally:
        os.close(descriptor)


def remove_files(config: SessionDescription, node_pid: int) -> None:
    """Remove a session's directory, its spilled objects and its node's entry in the registry."""
    shutil.rmtree(config["spill_path"], ignore_errors=True)
    shutil.rmtree(config["session_dir"], ignore_errors=True)
    node_control.unregister_node(node_pid)


def _pids() -> list[int]:
    with contextlib.suppress(OSError):
        return [int(name) for name in os.listdir("/proc") if name.isdigit()]
    return []  # no /proc on this system


def _is_marked(pid: int, variable: bytes) -> bool:
    if pid == os.getpid():
        return False
    with contextlib.suppress(OSError), open(f"/proc/{pid}/environ", "rb") as file:
        return variable in file.read().split(b"\0")
    return False
