"""Requests about nodes, and about the resources that they have and have left."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ray_async._core.node_view import NodeView
from ray_async.runtime.node.classes import Classes
from ray_async.runtime.node.logical_nodes import LogicalNodes
from ray_async.runtime.node.objects.object_locations import ObjectLocations
from ray_async.runtime.node.other_nodes import NodeMembership
from ray_async.runtime.node.requests.messages import Answers, Message
from ray_async.runtime.scheduler.report import Report

if TYPE_CHECKING:
    from ray_async.transport.server import Peer

__all__ = ("NodeRequests",)

_MEBIBYTE = 1 << 20
_STORE = "object_store_memory"


class NodeRequests:
    """Answers about logical nodes, those of other machines, and all their resources.

    Args:
        nodes: the logical ones.
        locations: the numbers by which objects know them.
        report: the scheduler's answers.
        classes: whose tasks wait.
        processes: view of the arena.
        cluster: has the other nodes.
        head: id of the first logical node.
    """

    def __init__(
        self,
        nodes: LogicalNodes,
        locations: ObjectLocations,
        report: Report,
        classes: Classes,
        processes: NodeView,
        cluster: NodeMembership,
        head: str,
    ) -> None:
        self._report = report
        self._classes = classes
        self._processes = processes
        self._cluster = cluster
        self._head = head
        self.answers: Answers = {
            "nodes": lambda peer, m: {"value": [*nodes.rows(), *cluster.others.rows()]},
            "state_nodes": lambda peer, m: {"value": [*nodes.state_rows(), *cluster.others.rows()]},
            "node_numbers": lambda peer, m: {"value": locations.numbers()},
            "add_node": lambda peer, m: {"value": nodes.add(m)},
            "remove_node": lambda peer, m: {"value": nodes.remove(str(m["node_id"]))},
            "cluster_resources": self._cluster_resources,
            "available_resources": self._available_resources,
            "pending_demands": lambda peer, m: {"value": classes.pending()},
        }

    def _cluster_resources(self, peer: Peer, message: Message) -> Message:
        return {"value": _sum(self._report.cluster_resources(), self._cluster.others.total())}

    def _available_resources(self, peer: Peer, message: Message) -> Message:
        self._classes.report_all()
        node_id = message.get("node_id")  # of this node alone
        guests = self._classes.guests() if message.get("own") else ()
        found = self._report.available_resources(node_id=node_id, guests=guests)
        others = [] if message.get("own") else self._cluster.others.free(node_id)
        if node_id not in (None, self._head):
            return {"value": _sum(found, others)}
        # Nobody asks the scheduler for the memory that objects take. Whole MiB: some KiB are queues, not objects.
        free = found.pop(_STORE, 0.0) - (self._processes.statistics()["used"] & ~(_MEBIBYTE - 1))
        return {"value": _sum({**found, _STORE: free} if free > 0 else found, others)}


def _sum(first: dict[str, float], others: list[dict[str, float]]) -> dict[str, float]:
    for other in others:
        for name, amount in other.items():
            first[name] = first.get(name, 0.0) + amount
    return first
