"""Overflow of queues: records that did not fit into a queue's ring, and follow when it has room."""

from __future__ import annotations

from ray_async._core.node_view import NodeView

__all__ = ("Overflow",)


class Overflow:
    """Refills the rings of queues.

    Args:
        processes: view of the arena's queues.
    """

    def __init__(self, processes: NodeView) -> None:
        self._processes = processes
        self._queues: set[int] = set()  # with records that did not fit at the last look

    def refill(self, queue: int) -> None:
        """A queue's ring is full, or has room again."""
        if self._processes.refill(queue):
            self._queues.add(queue)
        else:
            self._queues.discard(queue)

    def forget(self, queue: int) -> None:
        """A queue is about to go."""
        self._queues.discard(queue)

    def tick(self) -> None:
        """Look at the queues whose overflow did not fit."""
        for queue in list(self._queues):
            self.refill(queue)
