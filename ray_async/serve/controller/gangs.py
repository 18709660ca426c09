"""The gangs of a deployment, as the controller has them: which replicas are of which."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace

from ray_async.serve.application import DeploymentSpec
from ray_async.serve.board import Board
from ray_async.serve.controller.reconcile import ReplicaState
from ray_async.serve.controller.replica_handle import ReplicaHandle
from ray_async.serve.controller.room_plan import gang_room_name
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
        self._gangs: dict[str, GangContext] = {}

    def note(self, replica: ReplicaHandle) -> None:
        """Know the gang of a replica, if it is in one."""
        if replica.gang is not None:
            self._gangs.setdefault(replica.gang.gang_id, replica.gang)

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
            one.gang = GangContext(gang_id, rank, len(members), ids, gang_room_name(self._app, spec, gang_id))
            self._replicas[one.id] = one
        self.note(members[0])
        return members

    def fill(self, spec: DeploymentSpec, gang_id: str, rank: int, place: int) -> ReplicaHandle:
        """A replica that has not begun, for the place of one that a gang has lost; the others are to be told."""
        gang = self._gangs[gang_id]
        new = ReplicaHandle(self._app, spec, place, self._board)
        ids = [new.id if at == rank else known for at, known in enumerate(gang.member_replica_ids)]
        self._gangs[gang_id] = replace(gang, member_replica_ids=ids)
        new.gang = replace(gang, member_replica_ids=ids, rank=rank)
        self._replicas[new.id] = new
        for one in self.members(new):
            if one.gang is not None:
                one.gang = replace(one.gang, member_replica_ids=ids)
        return new

    def forget(self, replica: ReplicaHandle) -> None:
        """Forget the gang of a replica that is gone, if it was the last one."""
        others = (one.gang.gang_id for one in self._replicas.values() if one.gang is not None)
        if replica.gang is not None and replica.gang.gang_id not in others:
            self._gangs.pop(replica.gang.gang_id, None)
