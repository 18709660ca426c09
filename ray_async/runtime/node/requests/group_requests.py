"""Requests about placement groups."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ray_async.runtime.node.requests.messages import Answers, Message

if TYPE_CHECKING:
    from ray_async.runtime.node.node import Node
    from ray_async.transport.server import Peer

__all__ = ("GroupRequests",)


class GroupRequests:
    """Answers about placement groups.

    Args:
        node: the process's parts.
    """

    def __init__(self, node: Node) -> None:
        self._node = node
        self.answers: Answers = {
            "pg_create": self._create,
            "pg_remove": self._remove,
            "pg_get": self._find,
            "pg_table": lambda peer, m: {"value": node.groups.table(m.get("placement_group_id"))},
            "pg_ready": self._ready,
        }

    def _create(self, peer: Peer, message: Message) -> Message:
        maker = self._node.actors.detached_actor_of(peer.notes.get("slot"))
        return {"value": self._node.groups.create(message, self._node.drivers.job_of(peer), maker)}

    def _remove(self, peer: Peer, message: Message) -> Message:
        self._node.groups.remove(str(message["placement_group_id"]))
        return {"value": None}

    def _find(self, peer: Peer, message: Message) -> Message:
        job = self._node.environments.job_of(f"{self._node.drivers.job_of(peer)}:")
        namespace = str(job["namespace"]) if job is not None else ""
        return {"value": self._node.groups.find(str(message["name"]), namespace)}

    def _ready(self, peer: Peer, message: Message) -> Message:
        group = str(message["placement_group_id"])
        self._node.groups.when_ready(group, int(message["promise"]), int(message["holder"]))
        return {}
