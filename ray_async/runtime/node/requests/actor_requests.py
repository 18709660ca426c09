"""Requests about actors: naming, finding, killing them, and what their workers say of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ray_async.runtime.node.requests.messages import Answer, Answers, Message, Notices
from ray_async.transport.frames import decode_bytes

if TYPE_CHECKING:
    from ray_async.runtime.node.cluster_link import ClusterLink
    from ray_async.runtime.node.node import Node
    from ray_async.transport.server import Peer

__all__ = ("ActorRequests",)


class ActorRequests:
    """Answers about actors.

    Args:
        node: the process's parts.
    """

    def __init__(self, node: Node) -> None:
        self._node = node
        self._found: dict[Peer, list[int]] = {}
        self.answers: Answers = {
            "name_actor": self._name_actor,
            "get_actor": self._get_actor,
            "kill_actor": self._kill_actor,
            "actor_failed": self._actor_failed,
            "actor_leaves": self._actor_leaves,
            "list_named_actors": self._list_named_actors,
        }
        self.notices: Notices = {"actor_found": self._actor_found}

    def lost(self, peer: Peer) -> None:
        """A peer is gone: what it was about to hold is let go."""
        for offset in self._found.pop(peer, []):
            self._node.objects.unpin(offset)

    def _name_actor(self, peer: Peer, message: Message) -> Answer:
        offset = int(message["actor"])
        if not self._node.objects.is_actor(offset):
            raise ValueError("no actor there")
        name, namespace, meta = str(message["name"]), str(message["namespace"]), str(message["meta"])
        if not self._node.actors.take_name(offset, name, namespace, meta):
            return {"taken": True}
        if self._cluster is not None:
            return self._cluster.names.take(offset, name, namespace)
        return {"taken": False}

    def _get_actor(self, peer: Peer, message: Message) -> Answer:
        name, namespace = str(message["name"]), str(message["namespace"])
        found = self._node.actors.find(name, namespace)
        if found is not None:
            return self._hold(peer, found[0], found[1])
        if self._cluster is not None and not message.get("own"):
            return self._cluster.names.find(name, namespace, lambda actor, meta: self._hold(peer, actor, meta))
        return {}

    def _hold(self, peer: Peer, actor: int, meta: str) -> Message:
        """Hold an actor until the asker says that it has a reference of its own, or is gone."""
        self._node.objects.pin(actor)
        self._found.setdefault(peer, []).append(actor)
        return {"actor": actor, "meta": meta}

    @property
    def _cluster(self) -> ClusterLink | None:
        """The other nodes, while there is an agent that knows them."""
        cluster = self._node.cluster
        return cluster if cluster is not None and cluster.is_joined else None

    def _actor_found(self, peer: Peer, message: Message) -> None:
        offset = int(message["actor"])
        held = self._found.get(peer, [])
        if offset in held:
            held.remove(offset)
            self._node.objects.unpin(offset)

    def _kill_actor(self, peer: Peer, message: Message) -> Message:
        offset, no_restart = int(message["actor"]), bool(message["no_restart"])
        if self._cluster is None or not self._cluster.kill(offset, no_restart):
            self._node.actors.kill(offset, no_restart)
        return {}

    def _actor_failed(self, peer: Peer, message: Message) -> Message:
        self._node.actors.init_failed(int(message["actor"]), decode_bytes(message["error"]))
        return {}

    def _actor_leaves(self, peer: Peer, message: Message) -> Message:
        self._node.actors.leaves(int(message["actor"]), str(message["reason"]))
        return {}

    def _list_named_actors(self, peer: Peer, message: Message) -> Answer:
        namespace = None if message.get("all_namespaces") else str(message.get("namespace", ""))
        if self._cluster is not None:
            return self._cluster.names.listed(namespace)
        return {"value": self._node.actors.named(namespace)}
