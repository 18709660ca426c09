"""A gang's room: one reservation for all of its replicas, which is made whole or not at all."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from ray_async.ids import PlacementGroupID
from ray_async.serve.application import DeploymentSpec
from ray_async.serve.controller.resources import asked_resources
from ray_async.serve.controller.room import wait_for_room
from ray_async.serve.gang import GANG_PREFIX, GangContext, GangSchedulingConfig
from ray_async.util.placement_group import (
    PlacementGroup,
    placement_group,
    placement_group_table,
    remove_placement_group,
)
from ray_async.util.scheduling_strategies import PlacementGroupSchedulingStrategy

__all__ = ("Gang", "remove_rooms", "room_name")


def room_name(app: str, spec: DeploymentSpec, gang_id: str) -> str:
    """The name of a gang's placement group; empty where its replicas ask for no resources."""
    if not asked_resources(spec.options.ray_actor_options):
        return ""
    return f"{GANG_PREFIX}{app}_{spec.name}_{gang_id}"


class Gang:
    """One gang, as the controller has it.

    Args:
        context: What its replicas know of it.
        spec: The deployment.
    """

    def __init__(self, context: GangContext, spec: DeploymentSpec) -> None:
        self.context = context
        self._spec = spec
        self._group: PlacementGroup | None = None
        self._making: asyncio.Task[PlacementGroup] | None = None

    async def reserve(self, say: Callable[[str], bool]) -> None:
        """Wait until there is room for all of its replicas.

        Args:
            say: Told once what the node lacks; returns whether to go on waiting.

        Raises:
            ResourceWarning: The node lacks it, and nobody waits for that.
        """
        if not self.context.pg_name:
            return
        asked, size = asked_resources(self._spec.options.ray_actor_options), self.context.world_size
        config = self._spec.options.gang_scheduling_config or GangSchedulingConfig(size)
        make = asyncio.to_thread(_found_or_made, self.context.pg_name, [asked] * size, config.gang_placement_strategy)
        self._making = asyncio.get_running_loop().create_task(make)
        group = await asyncio.shield(self._making)
        ready = asyncio.ensure_future(_ready(group))
        what = f"A gang of {size} replicas of deployment {self._spec.name!r} cannot start: each asks for {asked}"
        try:
            whole = {name: amount * size for name, amount in asked.items()}
            await wait_for_room(whole, ready.done, ready, say, what, by_parts=True)
            await ready
        finally:
            ready.cancel()
        self._group = group

    async def options(self, rank: int) -> dict[str, Any]:
        """The options with which the actor of a replica gets its part of the room."""
        if not self.context.pg_name:
            return {}
        if self._group is None:
            self._group = await asyncio.to_thread(_found, self.context.pg_name)
        if self._group is None:
            raise RuntimeError(f"the placement group {self.context.pg_name} was removed")
        return {"scheduling_strategy": PlacementGroupSchedulingStrategy(self._group, rank, True)}

    async def release(self) -> None:
        """Give the room back."""
        if not self.context.pg_name:
            return
        if self._making is not None:
            await asyncio.wait([self._making])  # its failure was told to who waited for it
        await asyncio.to_thread(remove_rooms, lambda name: name == self.context.pg_name)


async def _ready(group: PlacementGroup) -> None:
    await group.ready()


def _found(name: str) -> PlacementGroup | None:
    for group_id, row in placement_group_table().items():
        if row["name"] == name and row["state"] != "REMOVED":
            return PlacementGroup(PlacementGroupID.from_hex(group_id))
    return None


def _found_or_made(name: str, bundles: list[dict[str, float]], strategy: str) -> PlacementGroup:
    return _found(name) or placement_group(bundles, str(strategy), name=name, lifetime="detached")


def remove_rooms(wanted: Callable[[str], bool]) -> None:
    """Remove the placement groups of gangs.

    Args:
        wanted: Tells by the name of one whether to remove it.
    """
    for group_id, row in placement_group_table().items():
        name = row["name"]
        if name.startswith(GANG_PREFIX) and row["state"] != "REMOVED" and wanted(name):
            remove_placement_group(PlacementGroup(PlacementGroupID.from_hex(group_id)))
