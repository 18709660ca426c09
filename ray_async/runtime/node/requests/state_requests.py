"""Requests about what there is: nodes, resources, tasks, objects, workers, actors, and figures of the node itself."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from ray_async.engine.state import FieldFilter
from ray_async.runtime.node.requests.messages import Answers, Message, Notices

if TYPE_CHECKING:
    from ray_async.runtime.node.node import Node
    from ray_async.transport.server import Peer

__all__ = ("StateRequests",)

_MEBIBYTE = 1 << 20
_STORE = "object_store_memory"


class StateRequests:
    """Answers about the node's state.

    Args:
        node: the process's parts.
    """

    def __init__(self, node: Node) -> None:
        self._node = node
        self.answers: Answers = {
            "nodes": lambda peer, m: {"value": [*node.logical_nodes.rows(), *self._others()]},
            "state_nodes": lambda peer, m: {"value": [*node.logical_nodes.state_rows(), *self._others()]},
            "node_numbers": lambda peer, m: {"value": node.copies.numbers()},
            "add_node": lambda peer, m: {"value": node.logical_nodes.add(m)},
            "remove_node": lambda peer, m: {"value": node.logical_nodes.remove(str(m["node_id"]))},
            "cluster_resources": self._cluster_resources,
            "available_resources": self._available_resources,
            "pending_demands": lambda peer, m: {"value": node.classes.pending()},
            "explain_task": lambda peer, m: {"value": node.explainer.explain(int(m["record"]))},
            "tasks": self._tasks,
            "task_counts": lambda peer, m: {"value": node.task_listing.counts()},
            "objects": lambda peer, m: {"value": node.listing.objects()},
            "workers": lambda peer, m: {"value": node.listing.workers()},
            "actor_elsewhere": lambda peer, m: {
                "value": node.cluster is not None and node.cluster.is_actor_elsewhere(int(m["actor"]))
            },
            "actors": lambda peer, m: {"value": node.actors.rows()},
            "statistics": self._statistics,
        }
        self.notices: Notices = {"task_failed": node.history.told}

    def _tasks(self, peer: Peer, message: Message) -> Message:
        filters = [FieldFilter(str(name), bool(equal), value) for name, equal, value in message["filters"]]
        rows, total = self._node.task_listing.page(filters, int(message["limit"]), int(message["offset"]))
        return {"value": {"rows": rows, "total": total}}

    def _others(self) -> list[Message]:
        """Rows of the cluster's other nodes."""
        return self._node.cluster.rows() if self._node.cluster is not None else []

    def _cluster_resources(self, peer: Peer, message: Message) -> Message:
        found = self._node.scheduler.report.cluster_resources()
        return {"value": _sum(found, self._node.cluster.total() if self._node.cluster is not None else [])}

    def _available_resources(self, peer: Peer, message: Message) -> Message:
        self._node.classes.tell_all()
        node_id = message.get("node_id")  # of this node alone
        found = self._node.scheduler.report.available_resources(node_id=node_id)
        others = [] if self._node.cluster is None or message.get("own") else self._node.cluster.free(node_id)
        if node_id not in (None, self._node.config["node_id"]):
            return {"value": _sum(found, others)}
        # Nobody asks the scheduler for the memory that objects take. Whole MiB: some KiB are queues, not objects.
        free = found.pop(_STORE, 0.0) - (self._node.view.statistics()["used"] & ~(_MEBIBYTE - 1))
        return {"value": _sum({**found, _STORE: free} if free > 0 else found, others)}

    def _statistics(self, peer: Peer, message: Message) -> Message:
        workers = self._node.workers.by_slot.values()
        figures: Message = dict(self._node.view.statistics())
        figures["workers"] = [
            {"pid": w.pid, "slot": w.slot, "done": self._node.view.process(w.slot).done, "name": w.name}
            for w in workers
        ]
        figures["classes"] = len(self._node.classes)
        figures["environments"] = len(self._node.environments)
        figures["zygote_pid"] = self._node.workers.zygote_pid
        figures["node_pid"] = os.getpid()
        figures["failures_not_told"] = self._node.history.dropped
        figures["events"] = dict(self._node.events.counts)
        return {"value": figures}


def _sum(first: dict[str, float], others: list[dict[str, float]]) -> dict[str, float]:
    for other in others:
        for name, amount in other.items():
            first[name] = first.get(name, 0.0) + amount
    return first
