"""Views of the arena: one of each kind, which the parts of the node share."""

from __future__ import annotations

from ray_async._core.arena import Arena
from ray_async._core.execution import Executor
from ray_async._core.loop_waiter import LoopWaiter
from ray_async._core.node_view import NodeView
from ray_async._core.object_view import ObjectView
from ray_async._core.record_view import RecordView

__all__ = ("ArenaViews",)


class ArenaViews:
    """All views that the node has of its arena. A part that needs one or two of them is given just these.

    Args:
        arena: the session's shared memory, which the process has joined.

    Attributes:
        waiter: of the node's loop, for objects.
        processes: events, classes with their queues, and processes with their leases.
        records: of tasks and calls.
        objects: of values and actors.
        executor: ends records and runs them again.
    """

    __slots__ = ("arena", "executor", "objects", "processes", "records", "waiter")

    def __init__(self, arena: Arena) -> None:
        self.arena = arena
        self.waiter = LoopWaiter(arena)
        self.processes = NodeView(arena, self.waiter.index)
        self.records = RecordView(arena)
        self.objects = ObjectView(arena)
        self.executor = Executor(arena, None, None)
