"""The rooms of a deployment: of each gang, and of each replica that has a placement group of its own."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Mapping
from typing import Any

from ray_async.serve.controller.replica_handle import ReplicaHandle
from ray_async.serve.controller.reservation import Reservation
from ray_async.serve.controller.room_plan import RoomPlan, room_plan

__all__ = ("Rooms",)


class Rooms:
    """The rooms of one deployment.

    Args:
        replicas: The deployment's replicas by their ids.
    """

    def __init__(self, replicas: Mapping[str, ReplicaHandle]) -> None:
        self._replicas = replicas
        self._rooms: dict[str, Reservation] = {}
        self._turn = asyncio.Lock()

    def __bool__(self) -> bool:
        """Whether there are any, those that are given back among them."""
        return bool(self._rooms)

    @property
    def names(self) -> set[str]:
        """The names of their placement groups."""
        return set(self._rooms)

    def note(self, replica: ReplicaHandle) -> RoomPlan | None:
        """Know the room of a replica, if it needs one."""
        plan = room_plan(replica.spec, replica.name, replica.gang)
        if plan is not None and plan.name not in self._rooms:
            self._rooms[plan.name] = Reservation(plan)
        return plan

    async def reserve(self, replica: ReplicaHandle, say: Callable[[str], bool]) -> None:
        """Wait until there is all of a replica's room, or all of its gang's.

        Args:
            replica: The replica.
            say: Told once what the node lacks; returns whether to go on waiting.

        Raises:
            ResourceWarning: The node lacks it, and nobody waits for that.
        """
        plan = self.note(replica)
        if plan is None:
            return
        # Where the number on a node is limited, one is placed at a time: two that wait could get the same place.
        async with self._turn if plan.limit is not None else contextlib.nullcontext():
            await self._rooms[plan.name].reserve(say)

    async def options(self, replica: ReplicaHandle) -> dict[str, Any]:
        """The options with which a replica's actor gets its part of its room."""
        plan = self.note(replica)
        return {} if plan is None else await self._rooms[plan.name].options(plan.index)

    def is_last(self, replica: ReplicaHandle) -> bool:
        """Whether a replica, which is gone, was the last one in a room."""
        plan = room_plan(replica.spec, replica.name, replica.gang)
        if plan is None or plan.name not in self._rooms:
            return False
        gang = replica.gang
        others = (one.gang.gang_id for one in self._replicas.values() if one.gang is not None)
        return gang is None or gang.gang_id not in others

    async def release(self, replica: ReplicaHandle) -> None:
        """Give a replica's room back."""
        plan = room_plan(replica.spec, replica.name, replica.gang)
        if plan is None or plan.name not in self._rooms:
            return
        try:
            await self._rooms[plan.name].release()
        finally:
            self._rooms.pop(plan.name, None)
