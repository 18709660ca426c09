"""Keeps workers from using up the machine's memory: recycles idle ones that have grown, kills one if need be."""

from __future__ import annotations

import contextlib
import time

from ray_async._core.constants import LeaseState
from ray_async._core.node_view import NodeView
from ray_async.config import (
    MEMORY_MONITOR_REFRESH_MS,
    MEMORY_USAGE_THRESHOLD,
    MIN_MEMORY_FREE_BYTES,
    WORKER_RSS_LIMIT_BYTES,
    Settings,
)
from ray_async.machine.memory_limits import MemoryGauge, process_rss
from ray_async.runtime.node.death.evidence import DeathCause
from ray_async.runtime.node.workers import WorkerProcess, Workers

__all__ = ("MemoryMonitor",)

_SELDOM_S = 2.0
_PLENTY = 0.75


class MemoryMonitor:
    """Looks at the memory of the machine (or its control group) and of the workers.

    Args:
        processes: view of the arena's processes.
        workers: the node's.
        settings: its limits.
    """

    def __init__(self, processes: NodeView, workers: Workers, settings: Settings) -> None:
        self._processes = processes
        self._workers = workers
        self._threshold = settings.get(MEMORY_USAGE_THRESHOLD)
        self._min_free = settings.get(MIN_MEMORY_FREE_BYTES)
        self._limit = settings.get(WORKER_RSS_LIMIT_BYTES)
        self._enabled = settings.get(MEMORY_MONITOR_REFRESH_MS) > 0
        self._gauge = MemoryGauge()
        self._next = 0.0

    def tick(self) -> None:
        """One look, seldom while there is plenty of memory."""
        now = time.monotonic()
        if now < self._next:
            return
        self._next = now + _SELDOM_S
        if self._limit:
            self._recycle()
        if self._enabled and self.anyone_works():
            self._relieve()

    def anyone_works(self) -> bool:
        """Whether a worker may be taking memory. What does not run does not grow: an idle session costs nothing."""
        state = self._processes.lease_state
        return any(state(slot) in (LeaseState.BUSY, LeaseState.ACTOR) for slot in self._workers.by_slot)

    def _recycle(self) -> None:
        """End idle workers that have grown past the limit; the next lease starts a fresh one."""
        for worker in list(self._workers.by_slot.values()):
            if worker.lease is None or self._processes.lease_state(worker.slot) != LeaseState.IDLE:
                continue
            if self._rss(worker) > self._limit and self._processes.take_idle(worker.slot):
                self._workers.kill(worker, DeathCause.SPARE, f"It had grown past {self._limit} bytes.")

    def _relieve(self) -> None:
        state = self._gauge.read()
        if state.used_share > _PLENTY * self._threshold:
            self._next = 0.0
        if state.used_share <= self._threshold or (self._min_free >= 0 and state.available >= self._min_free):
            return
        workers = [w for w in self._workers.by_slot.values() if w.pid and w.kill_cause is None]
        if workers:
            largest = max(workers, key=lambda worker: (worker.name == "", self._rss(worker)))
            used = state.total - state.available
            limit = f"memory_usage_threshold={self._threshold}"
            text = f"memory was short: {used} of {state.total} bytes in use, more than {limit}"
            self._workers.kill(largest, DeathCause.MEMORY_MONITOR, text)

    @staticmethod
    def _rss(worker: WorkerProcess) -> int:
        with contextlib.suppress(ProcessLookupError):
            return process_rss(worker.pid)
        return 0
