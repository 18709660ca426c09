"""Requests about actors: naming, finding, killing them, and what their workers say of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ray_async.runtime.node.requests.messages import Answers, Message, Notices
from ray_async.transport.frames import decode_bytes

if TYPE_CHECKING:
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

    def _name_actor(self, peer: Peer, message: Message) -> Message:
        offset = int(message["actor"])
        if not self._node.objects.is_actor(offset):
            raise ValueError("no actor there")
        taken = not self._node.actors.take_name(
            offset, str(message["name"]), str(message["namespace"]), str(message["meta"])
        )
        return {"taken": taken}

    def _get_actor(self, peer: Peer, message: Message) -> Message:
        found = self._node.actors.find(str(message["name"]), str(message["namespace"]))
        if found is None:
            return {}
        # Held until the asker says that it has a reference of its own, or is gone.
        self._node.objects.pin(found[0])
        self._found.setdefault(peer, []).append(found[0])
        return {"actor": found[0], "meta": found[1]}

    def _actor_found(self, peer: Peer, message: Message) -> None:
        offset = int(message["actor"])
        held = self._found.get(peer, [])
        if offset in held:
            held.remove(offset)
            self._node.objects.unpin(offset)

    def _kill_actor(self, peer: Peer, message: Message) -> Message:
        self._node.actors.kill(int(message["actor"]), bool(message["no_restart"]))
        return {}

    def _actor_failed(self, peer: Peer, message: Message) -> Message:
        self._node.actors.init_failed(int(message["actor"]), decode_bytes(message["error"]))
        return {}

    def _actor_leaves(self, peer: Peer, message: Message) -> Message:
        self._node.actors.leaves(int(message["actor"]), str(message["reason"]))
        return {}

    def _list_named_actors(self, peer: Peer, message: Message) -> Message:
        namespace = None if message.get("all_namespaces") else str(message.get("namespace", ""))
        return {"value": self._node.actors.named(namespace)}
