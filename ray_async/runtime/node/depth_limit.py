"""Ends recursions of tasks that are deeper than a node has workers."""

from __future__ import annotations

from ray_async import exceptions as errors
from ray_async._core.constants import RecordKind
from ray_async._core.node_view import NodeView
from ray_async._core.record_view import RecordView
from ray_async.runtime.node.record_failures import RecordFailures
from ray_async.runtime.node.workers import Workers

__all__ = ("DepthLimit",)


class DepthLimit:
    """Fails the tasks that blocked workers wait for once no worker can ever run them.

    Args:
        processes, records: views of the arena.
        workers: those that may all wait.
        failures: ends the tasks that they wait for.
    """

    def __init__(self, processes: NodeView, records: RecordView, workers: Workers, failures: RecordFailures) -> None:
        self._processes = processes
        self._records = records
        self._by_slot = workers.by_slot
        self._failures = failures
        self._message: str | None = None
        self._before: dict[int, int] | None = None

    def reached(self, message: str) -> None:
        """A logical node may start no more workers."""
        self._message = message

    def tick(self) -> None:
        """Look whether everything stands still: all workers wait, at two looks, and none finished a task in between."""
        if self._message is None:
            return
        now = self._standing()
        if now is not None and now == self._before:
            self._fail_children(self._message)
            now = None
        self._before = now

    def _standing(self) -> dict[int, int] | None:
        """Tasks that each worker has finished, when all of them wait; else None."""
        finished = {}
        for slot, worker in self._by_slot.items():
            if worker.name:
                continue  # an actor's
            row = self._processes.process(slot)
            if not row.blocked:
                return None
            finished[slot] = row.done
        return finished

    def _fail_children(self, message: str) -> None:
        payload = errors.to_payload(errors.TaskUnschedulableError(message))
        records = self._records
        for record, _, parent, _, _, kind, _ in records.unfinished_descendants():
            if parent and kind == RecordKind.TASK and records.claim(record, queued=True):
                self._failures.fail(record, payload)
