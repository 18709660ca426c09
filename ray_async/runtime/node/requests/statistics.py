"""Statistics of the node: counts of what it has, for tests and for whoever looks for what holds memory."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import TYPE_CHECKING

from ray_async._core.node_view import NodeView
from ray_async.runtime.node.classes import Classes
from ray_async.runtime.node.environments import Environments
from ray_async.runtime.node.requests.messages import Answers, Message
from ray_async.runtime.node.task_history import TaskHistory
from ray_async.runtime.node.workers import Workers

if TYPE_CHECKING:
    from ray_async.transport.server import Peer

__all__ = ("Statistics",)


class Statistics:
    """Answers with figures of the node itself.

    Args:
        processes: view of the arena.
        workers, classes, environments, history: that are counted.
        events: how many of each kind were handled.
    """

    def __init__(
        self,
        processes: NodeView,
        workers: Workers,
        classes: Classes,
        environments: Environments,
        history: TaskHistory,
        events: Mapping[str, int],
    ) -> None:
        self._processes = processes
        self._workers = workers
        self._classes = classes
        self._environments = environments
        self._history = history
        self._events = events
        self.answers: Answers = {
            "statistics": self._figures,
            "store_figures": lambda peer, m: {"value": processes.statistics()},
        }

    def _figures(self, peer: Peer, message: Message) -> Message:
        workers = self._workers.by_slot.values()
        figures: Message = dict(self._processes.statistics())
        figures["workers"] = [
            {"pid": w.pid, "slot": w.slot, "done": self._processes.process(w.slot).done, "name": w.name}
            for w in workers
        ]
        figures["classes"] = len(self._classes)
        figures["environments"] = len(self._environments)
        figures["zygote_pid"] = self._workers.zygote_pid
        figures["node_pid"] = os.getpid()
        figures["failures_not_reported"] = self._history.dropped
        figures["events"] = dict(self._events)
        return {"value": figures}
