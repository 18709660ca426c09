"""Names of actors in a cluster: each node has those of its own actors, and the head knows which node has which."""

from __future__ import annotations

from collections.abc import Callable

from ray_async.runtime.node.actor_table import ActorTable
from ray_async.runtime.node.cluster_questions import ClusterQuestions
from ray_async.runtime.node.requests.messages import Message

__all__ = ("ClusterNames",)


class ClusterNames:
    """This node's part in the names of its cluster.

    Args:
        actors: this node's.
        questions: to the rest of the cluster.
        notify: sends the agent a message.
    """

    def __init__(self, actors: ActorTable, questions: ClusterQuestions, notify: Callable[..., None]) -> None:
        self._actors = actors
        self._questions = questions
        self._notify = notify

    async def take(self, offset: int, name: str, namespace: str) -> Message:
        """Take a name that is free on this node for an actor of it in the whole cluster; says whether it is taken."""
        actor = self._actors.id_at(offset).hex()
        try:
            found = await self._questions.pose("take_name", name=name, namespace=namespace, actor=actor)
        except ConnectionError:
            return {"taken": False}  # the node is alone by now
        if found["taken"]:
            self._actors.release_name(offset, name, namespace)
        return {"taken": bool(found["taken"])}

    async def find(self, name: str, namespace: str, hold: Callable[[int, str], Message]) -> Message:
        """Find a named actor of another node; what stands for it here is given to ``hold``."""

        def take(found: Message) -> Message:
            return hold(int(found["actor"]), str(found["meta"])) if "actor" in found else {}

        try:
            return await self._questions.pose("find_actor", take, name=name, namespace=namespace)
        except ConnectionError:
            return {}

    async def listed(self, namespace: str | None) -> Message:
        """Names of the cluster's actors, in a namespace or in all."""
        try:
            found = await self._questions.pose("named_actors", namespace=namespace)
        except ConnectionError:
            return {"value": self._actors.named(namespace)}
        return {"value": found["names"]}

    def freed(self, offset: int, name: str, namespace: str) -> None:
        """An actor of this node has lost its name."""
        self._notify("name_freed", name=name, namespace=namespace, actor=self._actors.id_at(offset).hex())
