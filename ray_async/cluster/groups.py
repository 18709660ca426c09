"""Placement groups whose bundles lie on several nodes.

The node where a group was made owns it. Bundles that find no room there are placed by the ledger, and each node that
gets some reserves them in its own books, all or none: so what runs in them is scheduled there as on one machine.
"""

from __future__ import annotations

import itertools
import logging
from collections import Counter
from typing import TYPE_CHECKING, Any

from ray_async.cluster.lane import Lane, LaneClosedError, RefusedError
from ray_async.spec.placement import Placement

if TYPE_CHECKING:
    from ray_async.cluster.agent import ClusterAgent

__all__ = ("FarGroups",)

_logger = logging.getLogger("ray_async.cluster")


class FarGroups:
    """What an agent knows of groups that have bundles on more than its own node.

    Args:
        agent: the process's parts.
    """

    def __init__(self, agent: ClusterAgent) -> None:
        self._agent = agent
        self._bundles: dict[str, dict[int, str]] = {}  # nodes of the bundles that lie elsewhere, by group
        self._owners: dict[str, str] = {}  # of groups of other nodes that have bundles here
        self._placing: set[str] = set()
        self._turn = itertools.count()
        agent.lanes.handlers.update(reserve=self._reserve, unreserve=self._unreserve)

    # -- the owner's side ----------------------------------------------------------------------------------------------

    def demand(self, groups: list[dict[str, Any]]) -> None:
        """The node has groups with bundles that have no room there."""
        for group in groups:
            if group["id"] not in self._placing:
                self._placing.add(group["id"])
                self._agent.spawn(self._place(group))

    async def _place(self, group: dict[str, Any]) -> None:
        agent, identity = self._agent, group["id"]
        try:
            known = self._bundles.get(identity, {})
            granted = await agent.member.ask_head(
                "ray_place",
                node=agent.node_id,
                bundles=[
                    (index, group["bundles"][index], group["selectors"][index] if group["selectors"] else {})
                    for index in group["missing"]
                ],
                strategy=group["strategy"],
                occupied=[*known.values(), *[agent.node_id] * group["here"]],
                target=group["target"] or "",
            )
            if granted:
                await self._reserve_all(group, known, granted)
        finally:
            self._placing.discard(identity)

    async def _reserve_all(self, group: dict[str, Any], known: dict[int, str], granted: Any) -> None:
        """Have every node reserve its share; the own one comes last, and decides."""
        agent, identity = self._agent, group["id"]
        nodes = {**known, **{index: node for index, _, node in granted}}
        elsewhere = {index: node for index, node in nodes.items() if node != agent.node_id}
        shares: dict[str, list[int]] = {}
        for index, _, node in granted:
            shares.setdefault(node, []).append(index)
        reserved: list[str] = []
        placed = True
        for node in [node for node in shares if node != agent.node_id]:
            grants = [number for _, number, where in granted if where == node]
            if not await self._reserve_at(node, group, nodes, grants):
                placed = False
                break
            reserved.append(node)
        if placed:
            self._bundles[identity] = elsewhere
            placed = await agent.channel.ask("pg_elsewhere", group=identity, nodes=list(elsewhere.items()))
        if placed:
            for _, number, node in granted:
                if node == agent.node_id:
                    agent.started(number)
            return
        # Who has reserved some gives all back, also what it had before.
        left = self._bundles[identity] = {index: node for index, node in known.items() if node not in reserved}
        for node in reserved:
            agent.notify(node, "unreserve", group=identity)
        if left != known:
            await agent.channel.ask("pg_elsewhere", group=identity, nodes=list(left.items()))
        agent.give_back([number for _, number, _ in granted])

    async def _reserve_at(self, node: str, group: dict[str, Any], nodes: dict[int, str], grants: list[int]) -> bool:
        try:
            lane = await self._agent.lane(node)
            answer, _ = await lane.request(
                "reserve",
                group=group["id"],
                name=group["name"],
                bundles=group["bundles"],
                nodes=list(nodes.items()),
                grants=grants,
            )
        except (LaneClosedError, RefusedError) as error:
            _logger.info("node %s reserves nothing: %s", node, error)
            return False
        return bool(answer["reserved"])

    def made(self, message: dict[str, Any]) -> None:
        """The node has made a group, or removed one."""
        identity, is_there = message["group"], message["is_there"]
        self._agent.spawn(
            self._agent.member.ask_head(
                "ray_group",
                node=self._agent.node_id if is_there else "",
                group=identity,
                name=message["name"],
                namespace=message["namespace"],
            )
        )
        if not is_there:
            for node in set(self._bundles.pop(identity, {}).values()):
                self._agent.notify(node, "unreserve", group=identity)

    def node_lost(self, node: str) -> None:
        """A node is gone: its bundles are to be placed anew, and those that it had here are free."""
        for group, nodes in list(self._bundles.items()):
            if node in nodes.values() and group not in self._owners:
                left = self._bundles[group] = {index: where for index, where in nodes.items() if where != node}
                self._agent.spawn(self._agent.channel.ask("pg_elsewhere", group=group, nodes=list(left.items())))
        for group in [group for group, owner in self._owners.items() if owner == node]:
            self._forget(group)
            self._agent.channel.tell("pg_drop", group=group)

    # -- a node that has got some --------------------------------------------------------------------------------------

    async def _reserve(self, lane: Lane, header: dict[str, Any], frames: list[Any]) -> Any:
        """Reserve bundles of another node's group here."""
        agent, group = self._agent, header["group"]
        nodes = dict.fromkeys(range(len(header["bundles"])), lane.node) | dict(header["nodes"])
        elsewhere = {index: node for index, node in nodes.items() if node != agent.node_id}
        reserved = await agent.channel.ask(
            "pg_reserve", group=group, name=header["name"], bundles=header["bundles"], nodes=list(elsewhere.items())
        )
        if reserved:
            self._bundles[group], self._owners[group] = elsewhere, lane.node
            for grant in header["grants"]:
                agent.started(grant)
        return {"reserved": reserved}, []

    async def _unreserve(self, lane: Lane, header: dict[str, Any], frames: list[Any]) -> None:
        """The owner has no use for bundles here any more."""
        group = header["group"]
        if self._owners.get(group) == lane.node:
            self._forget(group)
            self._agent.channel.tell("pg_drop", group=group)

    def _forget(self, group: str) -> None:
        self._owners.pop(group, None)
        self._bundles.pop(group, None)

    # -- what runs in them ---------------------------------------------------------------------------------------------

    async def places(self, place: Placement, count: int) -> list[tuple[int, str, str]]:
        """Nodes for tasks or actors of a group that find no room in its bundles here; no grant is needed for them."""
        nodes = self._bundles.get(place.group or "", {})
        usable = Counter(node for index, node in nodes.items() if place.bundle in (-1, index))
        found: list[tuple[int, str, str]] = []
        for node in itertools.islice(itertools.cycle(sorted(usable)), next(self._turn) % max(1, len(usable)), None):
            if len(found) == count:
                break
            found.append((0, node, await self._agent.address_of(node)))
        return found
