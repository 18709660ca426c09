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
            "find_group": self._find_group,
            "remove_group": self._remove_group,
            "group_settled": self._group_settled,
        }
        agent.lanes.handlers.update(
            named_actor=self._named_actor,
            group_row=self._own_group_row,
            remove_group=self._remove_own_group,
            group_settled=self._own_group_settled,
        )

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

    # -- placement groups ----------------------------------------------------------------------------------------------

    async def _owner_of(self, message: dict[str, Any]) -> tuple[str, Lane | None]:
        """Id of a group that another node has made, and the connection to that; None where there is no such group."""
        group, node = await self._agent.member.ask_head(
            "ray_find_group",
            group=message["group"],
            name=message.get("name", ""),
            namespace=message.get("namespace", ""),
        )
        return group, None if node in ("", self._agent.node_id) else await self._agent.lane(node)

    async def _find_group(self, message: dict[str, Any]) -> Found:
        group, lane = await self._owner_of(message)
        if lane is None:
            return {}, None
        found, _ = await lane.request("group_row", group=group)
        return found, None

    async def _own_group_row(self, lane: Lane, header: dict[str, Any], frames: list[Any]) -> Any:
        rows = await self._agent.channel.ask("pg_table", placement_group_id=header["group"], own=True)
        return {"row": rows.get(header["group"])}, []

    async def _remove_group(self, message: dict[str, Any]) -> Found:
        group, lane = await self._owner_of(message)
        if lane is not None:
            await lane.request("remove_group", group=group)
        return {}, None

    async def _remove_own_group(self, lane: Lane, header: dict[str, Any], frames: list[Any]) -> None:
        await self._agent.channel.ask("pg_remove", placement_group_id=header["group"])

    async def _group_settled(self, message: dict[str, Any]) -> Found:
        group, lane = await self._owner_of(message)
        if lane is None:
            return {"is_there": False}, None
        found, _ = await lane.request("group_settled", group=group)
        return found, None

    async def _own_group_settled(self, lane: Lane, header: dict[str, Any], frames: list[Any]) -> Any:
        return {"is_there": await self._agent.channel.ask("pg_wait", group=header["group"])}, []

    # -- keys and values -----------------------------------------------------------------------------------------------

    async def _key_value(self, message: dict[str, Any]) -> Found:
        found = await self._agent.member.ask_head(
            "ray_key_value", operation=message["operation"], fields=message["fields"]
        )
        if "refused" in found:
            raise RefusedError(found["refused"])
        return dict(found), None
