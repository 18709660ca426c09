"""Ends recursions of tasks that are deeper than a node has workers."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ray_async import exceptions as errors
from ray_async._core.constants import RecordKind

if TYPE_CHECKING:
    from ray_async.runtime.node.node import Node

__all__ = ("DepthLimit",)


class DepthLimit:
    """Fails the tasks that blocked workers wait for once no worker can ever run them.

    Args:
        node: the process's parts.
    """

    def __init__(self, node: Node) -> None:
        self._node = node
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
        for slot, worker in self._node.workers.by_slot.items():
            if worker.name:
                continue  # an actor's
            row = self._node.view.process(slot)
            if not row.blocked:
                return None
            finished[slot] = row.done
        return finished

    def _fail_children(self, message: str) -> None:
        payload = errors.to_payload(errors.TaskUnschedulableError(message))
        records = self._node.records
        for record, _, parent, _, _, kind, _ in records.unfinished_descendants():
            if parent and kind == RecordKind.TASK and records.claim(record, queued=True):
                self._node.tasks.fail(record, payload)
