"""A reservation: a room, which is made whole or not at all."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

from ray_async.ids import PlacementGroupID
from ray_async.serve.controller.room import wait_for_room
from ray_async.serve.controller.room_plan import RoomPlan, full_nodes, without_nodes
from ray_async.serve.gang import GANG_PREFIX
from ray_async.serve.names import REPLICA_PREFIX
from ray_async.util.placement_group import (
    PlacementGroup,
    placement_group,
    placement_group_table,
    remove_placement_group,
)
from ray_async.util.scheduling_strategies import PlacementGroupSchedulingStrategy

__all__ = ("Reservation", "remove_rooms")

_LOOK = 0.5  # seconds between two looks at which nodes are full


class Reservation:
    """The placement group of one room.

    Args:
        plan: The room.
    """

    def __init__(self, plan: RoomPlan) -> None:
        self._plan = plan
        self._group: PlacementGroup | None = None
        self._making: asyncio.Task[PlacementGroup] | None = None

    async def reserve(self, say: Callable[[str], bool]) -> None:
        """Wait until there is all of it.

        Args:
            say: Told once what the node lacks; returns whether to go on waiting.

        Raises:
            ResourceWarning: The node lacks it, and nobody waits for that.
        """
        whole: Counter[str] = Counter()
        for bundle in self._plan.bundles:
            whole.update(bundle)
        held = asyncio.ensure_future(self._hold())
        try:
            await wait_for_room(whole, held.done, held, say, self._plan.what, by_parts=True)
            await held
        finally:
            held.cancel()

    async def _hold(self) -> None:
        """Make the group, and wait for its resources; it is made anew where other nodes than before are full."""
        limit = self._plan.limit
        while True:
            full = [] if limit is None else await asyncio.to_thread(self._full_nodes)
            self._making = asyncio.get_running_loop().create_task(asyncio.to_thread(self._found_or_made, full))
            group = await asyncio.shield(self._making)
            ready = asyncio.ensure_future(_ready(group))
            try:
                while not ready.done():
                    await asyncio.wait([ready], timeout=None if limit is None else _LOOK)
                    if limit is not None and not ready.done() and await asyncio.to_thread(self._full_nodes) != full:
                        break
                else:
                    await ready
                    self._group = group
                    return
            finally:
                ready.cancel()
            await asyncio.to_thread(remove_rooms, self._is_own)

    async def options(self, index: int) -> dict[str, Any]:
        """The options with which an actor runs in one of the bundles."""
        if self._group is None:
            self._group = await asyncio.to_thread(_found, self._plan.name)
        if self._group is None:
            raise RuntimeError(f"the placement group {self._plan.name} was removed")
        return {"scheduling_strategy": PlacementGroupSchedulingStrategy(self._group, index, self._plan.captures)}

    async def release(self) -> None:
        """Give the room back."""
        if self._making is not None:
            await asyncio.wait([self._making])  # its failure was told to who waited for it
        await asyncio.to_thread(remove_rooms, self._is_own)

    def _is_own(self, name: str) -> bool:
        return name == self._plan.name

    def _full_nodes(self) -> list[str]:
        return full_nodes(self._plan, placement_group_table().values())

    def _found_or_made(self, full: Sequence[str]) -> PlacementGroup:
        plan = self._plan
        found = _found(plan.name)
        if found is not None and (plan.limit is None or placement_group_table(found)["state"] == "CREATED"):
            return found
        if found is not None:  # of an earlier controller, which knew other nodes to be full
            remove_placement_group(found)
        selectors = list(plan.selectors) if plan.limit is None else without_nodes(plan.selectors, full)
        return placement_group(
            [dict(bundle) for bundle in plan.bundles],
            plan.strategy,
            name=plan.name,
            lifetime="detached",
            bundle_label_selector=[dict(selector) for selector in selectors] or None,
        )


async def _ready(group: PlacementGroup) -> None:
    await group.ready()


def _found(name: str) -> PlacementGroup | None:
    for group_id, row in placement_group_table().items():
        if row["name"] == name and row["state"] != "REMOVED":
            return PlacementGroup(PlacementGroupID.from_hex(group_id))
    return None


def remove_rooms(wanted: Callable[[str], bool]) -> None:
    """Remove the placement groups of replicas and of gangs.

    Args:
        wanted: Tells by the name of one whether to remove it.
    """
    for group_id, row in placement_group_table().items():
        name = row["name"]
        if name.startswith((GANG_PREFIX, REPLICA_PREFIX)) and row["state"] != "REMOVED" and wanted(name):
            remove_placement_group(PlacementGroup(PlacementGroupID.from_hex(group_id)))
