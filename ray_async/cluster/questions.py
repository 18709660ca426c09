"""Questions that a node has for the rest of its cluster: its agent asks the head and other nodes."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

from ray_async._core import portable
from ray_async.cluster.lane import Lane, RefusedError

if TYPE_CHECKING:
    from ray_async.cluster.agent import ClusterAgent

__all__ = ("Questions",)

_logger = logging.getLogger("ray_async.cluster")

#: What was found, and what has to be kept until the node has taken it over.
Found = tuple[dict[str, Any], Any]


class Questions:
    """Answers the questions of this agent's node, and what other agents ask of it.

    Args:
        agent: the process's parts.
    """

    def __init__(self, agent: ClusterAgent) -> None:
        self._agent = agent
        self._finders: dict[str, Callable[[dict[str, Any]], Awaitable[Found]]] = {
            "take_name": self._take_name,
            "find_actor": self._find_actor,
            "named_actors": self._named_actors,
            "key_value": self._key_value,
        }
        agent.lanes.handlers.update(named_actor=self._named_actor)

    def asked(self, message: dict[str, Any]) -> None:
        """The node has a question."""
        self._agent.spawn(self._answer(message))

    async def _answer(self, message: dict[str, Any]) -> None:
        kept: Any = None
        try:
            found, kept = await self._finders[message["what"]](message)
            answer: dict[str, Any] = {"found": found}
        except OSError as error:  # somebody who would know is gone
            answer = {"gone": str(error) or type(error).__name__}
        except RefusedError as error:
            answer = {"refused": str(error)}
        except Exception as error:
            _logger.exception("the node's question %r failed", message["what"])
            answer = {"refused": f"{type(error).__name__}: {error}"}
        await self._agent.channel.ask("answered", number=message["number"], **answer)
        del kept

    # -- names ---------------------------------------------------------------------------------------------------------

    async def _take_name(self, message: dict[str, Any]) -> Found:
        taken = await self._agent.member.ask_head(
            "ray_take_name",
            node=self._agent.node_id,
            namespace=message["namespace"],
            name=message["name"],
            actor=message["actor"],
        )
        return {"taken": taken}, None

    def name_freed(self, message: dict[str, Any]) -> None:
        """An actor of this node has lost its name."""
        self._agent.spawn(
            self._agent.member.ask_head(
                "ray_free_name",
                node=self._agent.node_id,
                namespace=message["namespace"],
                name=message["name"],
                actor=message["actor"],
            )
        )

    async def _named_actors(self, message: dict[str, Any]) -> Found:
        found = await self._agent.member.ask_head("ray_names", namespace=message["namespace"])
        return {"names": [{"namespace": namespace, "name": name} for namespace, name in found]}, None

    async def _find_actor(self, message: dict[str, Any]) -> Found:
        """Find an actor of another node by its name; a reference of this session that stands for it."""
        agent, wanted = self._agent, {"namespace": message["namespace"], "name": message["name"]}
        node = await agent.member.ask_head("ray_find_name", **wanted)
        if node in ("", agent.node_id):
            return {}, None
        lane = await agent.lane(node)
        found, _ = await lane.request("named_actor", **wanted)
        if "actor" not in found:
            return {}, None
        ref = agent.objects.take(found["actor"], lane)
        return {"actor": agent.objects.key(ref)[0], "meta": found["meta"]}, ref

    async def _named_actor(self, lane: Lane, header: dict[str, Any], frames: list[Any]) -> Any:
        """Another node wants an actor of this one."""
        agent = self._agent
        found = await agent.channel.ask_all("get_actor", own=True, name=header["name"], namespace=header["namespace"])
        if "actor" not in found:
            return {}, []
        ref = portable.reference_at(agent.arena, found["actor"])
        agent.channel.tell("actor_found", actor=found["actor"])
        if ref is None:
            return {}, []
        return {"actor": agent.objects.export(ref, lane.node), "meta": found["meta"]}, []

    # -- keys and values -----------------------------------------------------------------------------------------------

    async def _key_value(self, message: dict[str, Any]) -> Found:
        found = await self._agent.member.ask_head(
            "ray_key_value", operation=message["operation"], fields=message["fields"]
        )
        if "refused" in found:
            raise RefusedError(found["refused"])
        return dict(found), None
