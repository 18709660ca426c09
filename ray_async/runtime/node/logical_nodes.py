"""Logical nodes: resources and labels of their own, workers of their own, in one node process."""

from __future__ import annotations

import os
import socket
import time
from typing import TYPE_CHECKING, Any

from ray_async.engine.state import ListedNode, Row
from ray_async.ids import NodeID
from ray_async.runtime.node.death.evidence import DeathCause
from ray_async.runtime.node.dispatch import Dispatch
from ray_async.runtime.node.objects.object_locations import ObjectLocations
from ray_async.runtime.node.workers import Workers
from ray_async.runtime.scheduler import events

if TYPE_CHECKING:
    from ray_async.runtime.messages.session_description import NodeConfig

__all__ = ("LogicalNodes",)

_MAX_PAST_NODES = 1000  # removed nodes, for listings


class LogicalNodes:
    """The table of logical nodes, the head first.

    Args:
        config: of the process: its name, address, directory, resources and labels are the head's.
        dispatch: to the scheduler.
        workers: end with their logical node.
        locations: of objects, which may be lost with it.
    """

    def __init__(self, config: NodeConfig, dispatch: Dispatch, workers: Workers, locations: ObjectLocations) -> None:
        self._node_ip = config["node_ip"]
        self._session_dir = config["session_dir"]
        self._dispatch = dispatch
        self._workers = workers
        self._locations = locations
        self._nodes: dict[str, ListedNode] = {}
        self._times: dict[str, dict[str, int]] = {}
        name = config.get("node_name") or config["node_ip"]
        self._add_row(config["node_id"], name, config["resources"], config.get("labels") or {}, head=True)

    def _add_row(
        self, node_id: str, name: str, resources: dict[str, float], labels: dict[str, str], head: bool = False
    ) -> None:
        self._times[node_id] = {"start_time_ms": int(time.time() * 1000), "end_time_ms": 0}
        self._nodes[node_id] = {
            "NodeID": node_id,
            "Alive": True,
            "alive": True,
            "NodeManagerAddress": self._node_ip,
            "NodeManagerHostname": socket.gethostname(),
            "NodeManagerPort": 0,
            "ObjectManagerPort": 0,
            "ObjectStoreSocketName": self._session_dir,
            "RayletSocketName": os.path.join(self._session_dir, "node.sock"),
            "MetricsExportPort": 0,
            "MetricsAgentPort": 0,
            "DashboardAgentListenPort": 0,
            "NodeName": name,
            "RuntimeEnvAgentPort": 0,
            "DeathReason": 0,
            "DeathReasonMessage": "",
            "Resources": dict(resources),
            "Labels": {**labels, "ray.io/node-id": node_id},
            "IsHeadNode": head,
        }

    def rows(self) -> list[ListedNode]:
        """A description of each logical node, past ones too."""
        return list(self._nodes.values())

    def state_rows(self) -> list[Row]:
        """The same, and when each came and went."""
        return [{**row, **self._times[node_id]} for node_id, row in self._nodes.items()]

    def add(self, message: dict[str, Any]) -> dict[str, Any]:
        """Add a logical node: resources and labels of its own, workers of its own."""
        node_id = NodeID.from_random().hex()
        resources = {f"node:{self._node_ip}": 1.0, **_quantities(message["resources"])}
        labels = {str(k): str(v) for k, v in (message.get("labels") or {}).items()}
        name = message.get("node_name") or self._node_ip
        self._add_row(node_id, name, resources, labels)
        self._locations.node_added(node_id)
        self._dispatch.schedule(events.NodeAdded(node_id, resources, labels))
        return {"node_id": node_id}

    def remove(self, node_id: str) -> dict[str, Any]:
        """Take a logical node away: its workers die, what they ran is retried elsewhere or fails.

        Raises:
            ValueError: there is no such node.
        """
        row = self._nodes.get(node_id)
        if row is None or not row["Alive"]:
            raise ValueError(f"there is no node {node_id}")
        row["Alive"] = row["alive"] = False
        row["DeathReasonMessage"] = "removed"
        self._times[node_id]["end_time_ms"] = int(time.time() * 1000)
        self._dispatch.schedule(events.NodeRemoved(node_id))
        for worker in list(self._workers.by_slot.values()):
            if worker.node_id == node_id:
                self._workers.kill(worker, DeathCause.NODE_DIED, "The node was removed.")
        self._locations.node_removed(node_id)
        self._forget_rows()
        return {}

    def _forget_rows(self) -> None:
        """Keep rows of so many removed nodes, the last ones."""
        removed = [node_id for node_id, row in self._nodes.items() if not row["Alive"]]
        for node_id in removed[:-_MAX_PAST_NODES]:
            del self._nodes[node_id], self._times[node_id]


def _quantities(given: dict[str, Any]) -> dict[str, float]:
    return {str(name): float(amount) for name, amount in given.items()}
