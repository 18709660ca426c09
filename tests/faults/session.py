"""A real session under fault: its processes by name, and signals to them."""

from __future__ import annotations

import contextlib
import os
import random
import signal
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import Any

import ray_async as ray
from ray_async.engine.current import get_session

__all__ = ("SEED", "WorkerKiller", "node_pid", "session_dir", "state_of", "statistics", "worker_pids", "zygote_pid")

#: Of everything random in these tests; set FAULT_SEED to repeat a run with another one.
SEED = int(os.environ.get("FAULT_SEED", "20260731"))


def statistics() -> dict[str, Any]:
    """The node's figures: bytes of the store, processes."""
    found: dict[str, Any] = get_session().control("statistics")
    return found


def node_pid() -> int:
    """Pid of the node process."""
    return int(statistics()["node_pid"])


def zygote_pid() -> int:
    """Pid of the process that forks workers."""
    return int(statistics()["zygote_pid"])


def worker_pids() -> list[int]:
    """Pids of the workers, in order."""
    return sorted(worker["pid"] for worker in statistics()["workers"] if worker["pid"])


def session_dir() -> Path:
    """The directory of the session's sockets and files."""
    return Path(get_session().address_info()["session_dir"])


def state_of(pid: int) -> str:
    """State letter of a process; empty once it is gone."""
    with contextlib.suppress(FileNotFoundError, ProcessLookupError):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    return ""


class WorkerKiller:
    """Kills a random worker whenever so many more tasks are done.

    The taker of the results calls it: progress, not time, decides, so that a run is the same on a slow machine.

    Args:
        every: tasks between two kills.
        seed: of the choice.
    """

    def __init__(self, every: int, seed: int) -> None:
        self._every = every
        self._due = every
        self._done = 0
        self._random = random.Random(seed)
        self.kills = 0

    def done(self, count: int = 1) -> None:
        """Note finished tasks; kill when it is time."""
        self._done += count
        if self._done < self._due:
            return
        pids = worker_pids()
        if pids:
            self._due = self._done + self._every
            with contextlib.suppress(ProcessLookupError):
                os.kill(self._random.choice(pids), signal.SIGKILL)
                self.kills += 1

    def take(self, submit: Callable[[int], Any], count: int, window: int = 200) -> list[Any]:
        """The values of `submit(0)`, `submit(1)`..., in order; up to `window` are in flight all the time."""
        values: list[Any] = []
        refs: deque[Any] = deque()
        for i in range(count):
            refs.append(submit(i))
            if len(refs) >= window or i == count - 1:
                taken = len(refs) if i == count - 1 else window // 4
                for ref in [refs.popleft() for _ in range(taken)]:
                    values.append(ray.get(ref, timeout=90))
                    self.done()
        return values
