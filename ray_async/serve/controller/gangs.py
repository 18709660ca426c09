"""The gangs of a deployment, as the controller has them: which replicas are of which, and the room of each."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from ray_async.serve.application import DeploymentSpec
from ray_async.serve.board import Board
from ray_async.serve.controller.gang import Gang, room_name
from ray_async.serve.controller.reconcile import ReplicaState
from ray_async.serve.controller.replica_handle import ReplicaHandle
from ray_async.serve.gang import GangContext

__all__ = ("Gangs",)


class Gangs:
    """The gangs of one deployment.

    Args:
        app: The application's name.
        replicas: The deployment's replicas by their ids; new ones are added.
        board: The board.
    """

    def __init__(self, app: str, replicas: dict[str, ReplicaHandle], board: Board) -> None:
        self._app = app
        self._replicas = replicas
        self._board = board
        self._gangs: dict[str, Gang] = {}

    def __bool__(self) -> bool:
        """Whether there are any, those that give their room back among them."""
        return bool(self._gangs)

    @property
    def room_names(self) -> set[str]:
        """The names of their placement groups."""
        return {gang.context.pg_name for gang in self._gangs.values()}

    def note(self, replica: ReplicaHandle) -> None:
        """Know the gang of a replica, if it is in one."""
        if replica.gang is not None:
            self._gangs.setdefault(replica.gang.gang_id, Gang(replica.gang, replica.spec))

    def members(self, replica: ReplicaHandle) -> list[ReplicaHandle]:
        """The replicas of a replica's gang that are not about to end, itself among them; none where it has no gang."""
        gang = replica.gang
        alive = [one for one in self._replicas.values() if one.state is not ReplicaState.STOPPING]
        return [one for one in alive if gang and one.gang and one.gang.gang_id == gang.gang_id]

    def has_begun(self, replica: ReplicaHandle) -> bool:
        """Whether one of a replica's gang takes requests, so that the replica takes a lost one's place."""
        return any(one.state is ReplicaState.RUNNING for one in self.members(replica))

    def is_whole(self, replica: ReplicaHandle) -> bool:
        """Whether a replica's gang has all of its replicas."""
        return replica.gang is not None and len(self.members(replica)) == replica.gang.world_size

    def new(self, spec: DeploymentSpec, places: Sequence[int]) -> list[ReplicaHandle]:
        """A gang that has not begun, with a replica for each of some slots of the board."""
        members = [ReplicaHandle(self._app, spec, place, self._board) for place in places]
        gang_id, ids = os.urandom(4).hex(), [one.id for one in members]
        for rank, one in enumerate(members):
            one.gang = GangContext(gang_id, rank, len(members), ids, room_name(self._app, spec, gang_id))
            self._replicas[one.id] = one
        self.note(members[0])
        return members

    def fill(self, spec: DeploymentSpec, gang_id: str, rank: int, place: int) -> ReplicaHandle:
        """A replica that has not begun, for the place of one that a gang has lost; the others are to be told."""
        gang = self._gangs[gang_id]
        new = ReplicaHandle(self._app, spec, place, self._board)
        ids = [new.id if at == rank else known for at, known in enumerate(gang.context.member_replica_ids)]
        gang.context = replace(gang.context, member_replica_ids=ids)
        new.gang = replace(gang.context, rank=rank)
        self._replicas[new.id] = new
        for one in self.members(new):
            if one.gang is not None:
                one.gang = replace(one.gang, member_replica_ids=ids)
        return new

    async def reserve(self, replica: ReplicaHandle, say: Callable[[str], bool]) -> None:
        """Wait until there is room for all of a replica's gang.

        Args:
            replica: The replica.
            say: Told once what the node lacks; returns whether to go on waiting.

        Raises:
            ResourceWarning: The node lacks it, and nobody waits for that.
        """
        if replica.gang is not None:
            await self._gangs[replica.gang.gang_id].reserve(say)

    async def room(self, replica: ReplicaHandle) -> dict[str, Any]:
        """The options with which a replica's actor gets its part of its gang's room."""
        gang = replica.gang
        return {} if gang is None else await self._gangs[gang.gang_id].options(gang.rank)

    def is_last(self, replica: ReplicaHandle) -> bool:
        """Whether a replica, which is gone, was the last one of a gang."""
        gang = replica.gang
        others = (one.gang.gang_id for one in self._replicas.values() if one.gang is not None)
        return gang is not None and gang.gang_id not in others

    async def release(self, replica: ReplicaHandle) -> None:
        """Give the room of a replica's gang back."""
        if replica.gang is None:
            return
        try:
            await self._gangs[replica.gang.gang_id].release()
        finally:
            del self._gangs[replica.gang.gang_id]
