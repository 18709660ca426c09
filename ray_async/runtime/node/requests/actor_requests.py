"""Requests about actors: naming, finding, killing them, and what their workers say of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ray_async._core.object_view import ObjectView
from ray_async.runtime.node.actor_table import ActorTable
from ray_async.runtime.node.actors import Actors
from ray_async.runtime.node.other_nodes import NodeMembership
from ray_async.runtime.node.requests.messages import Answer, Answers, Message, Notices
from ray_async.transport.frames import decode_bytes

if TYPE_CHECKING:
    from ray_async.transport.server import Peer

__all__ = ("ActorRequests",)


class ActorRequests:
    """Answers about actors.

    Args:
        table: the actors.
        actors: their life.
        objects: view of the arena's actors.
        cluster: whose other nodes have actors too.
    """

    def __init__(self, table: ActorTable, actors: Actors, objects: ObjectView, cluster: NodeMembership) -> None:
        self._cluster = cluster
        self._table = table
        self._actors = actors
        self._objects = objects
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
            self._objects.unpin(offset)

    def _name_actor(self, peer: Peer, message: Message) -> Answer:
        offset = int(message["actor"])
        if not self._objects.is_actor(offset):
            raise ValueError("no actor there")
        name, namespace, meta = str(message["name"]), str(message["namespace"]), str(message["meta"])
        if not self._table.take_name(offset, name, namespace, meta):
            return {"taken": True}
        return self._cluster.others.take_name(offset, name, namespace)

    def _get_actor(self, peer: Peer, message: Message) -> Answer:
        name, namespace = str(message["name"]), str(message["namespace"])
        found = self._table.find(name, namespace)
        if found is not None:
            return self._hold(peer, found[0], found[1])
        if message.get("own"):
            return {}
        return self._cluster.others.find_actor(name, namespace, lambda actor, meta: self._hold(peer, actor, meta))

    def _hold(self, peer: Peer, actor: int, meta: str) -> Message:
        """Hold an actor until the asker says that it has a reference of its own, or is gone."""
        self._objects.pin(actor)
        self._found.setdefault(peer, []).append(actor)
        return {"actor": actor, "meta": meta}

    def _actor_found(self, peer: Peer, message: Message) -> None:
        offset = int(message["actor"])
        held = self._found.get(peer, [])
        if offset in held:
            held.remove(offset)
            self._objects.unpin(offset)

    def _kill_actor(self, peer: Peer, message: Message) -> Message:
        offset, no_restart = int(message["actor"]), bool(message["no_restart"])
        if not self._cluster.others.kill(offset, no_restart):
            self._actors.kill(offset, no_restart)
        return {}

    def _actor_failed(self, peer: Peer, message: Message) -> Message:
        self._actors.init_failed(int(message["actor"]), decode_bytes(message["error"]))
        return {}

    def _actor_leaves(self, peer: Peer, message: Message) -> Message:
        self._actors.leaves(int(message["actor"]), str(message["reason"]))
        return {}

    def _list_named_actors(self, peer: Peer, message: Message) -> Answer:
        namespace = None if message.get("all_namespaces") else str(message.get("namespace", ""))
        everywhere = self._cluster.others.named_actors(namespace)
        return {"value": self._table.named(namespace)} if everywhere is None else everywhere
