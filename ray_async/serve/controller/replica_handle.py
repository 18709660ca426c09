"""The controller's side of a replica: its actor, and what is known of it."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import os
from collections.abc import Container
from typing import Any

import ray_async as ray
from ray_async import cloudpickle
from ray_async.serve.application import DeploymentSpec
from ray_async.serve.board import DRAINING, EMPTY, Board
from ray_async.serve.controller.reconcile import ReplicaState, ReplicaView
from ray_async.serve.controller.records import ReplicaRecord
from ray_async.serve.deaths import DEATHS
from ray_async.serve.gang import GangContext
from ray_async.serve.ingress.free_slots import free_path
from ray_async.serve.ingress.listener import listener_path
from ray_async.serve.ingress.passing import passing_path
from ray_async.serve.names import NAMESPACE, REPLICA_PREFIX
from ray_async.serve.replica.actor import ReplicaActor
from ray_async.serve.stack_dump import stack_path

__all__ = ("ReplicaHandle",)

_RESPONDS = 1.0  # seconds for a replica that has failed its checks to show that its loop is not blocked


class ReplicaHandle:
    """A replica, as the controller has it.

    Args:
        app: The application's name.
        spec: The deployment.
        place: Its slot on the board.
        board: The board.
        replica_id: Its id; a new one by default.
        gang: What it knows of its gang; None where it is in none.
    """

    def __init__(
        self,
        app: str,
        spec: DeploymentSpec,
        place: int,
        board: Board,
        replica_id: str = "",
        gang: GangContext | None = None,
    ) -> None:
        self.gang = gang
        self.id = replica_id or os.urandom(4).hex()
        self.name = f"{REPLICA_PREFIX}{app}#{spec.name}#{self.id}"
        self.app = app
        self.spec = spec
        self.version = spec.version
        self.place = place
        self.state = ReplicaState.STARTING
        self.failures = 0
        self.takes_http = False  # as far as is known: asking a replica for that twice is no harm
        self.silent = False  # whether it has not answered its last check
        self.checked_at = 0.0
        self.work: asyncio.Task[None] | None = None
        self._board = board
        self.actor: Any = None
        self._packed = ""

    @classmethod
    def found(cls, app: str, record: ReplicaRecord, board: Board) -> ReplicaHandle | None:
        """The replica that an earlier controller has written down; None if it has died, or was never created."""
        replica = cls(app, record.spec, record.place, board, record.id, record.gang)
        replica.state, replica.takes_http = record.state, record.takes_http
        try:
            replica.actor = ray.get_actor(replica.name, namespace=NAMESPACE)
        except ValueError:
            return None
        return replica

    def record(self) -> ReplicaRecord:
        """What a new controller must know of it."""
        return ReplicaRecord(self.id, self.place, self.state, self.spec, self.gang, self.takes_http)

    def create(self, folder: str, room: dict[str, Any]) -> None:
        """Start the actor.

        Args:
            folder: Serve's folder.
            room: The options by which it gets its part of its gang's room.
        """
        self._board.set_state(self.place, EMPTY)
        options = {"num_cpus": 0, **self.spec.options.ray_actor_options}
        actor = ray.remote(ReplicaActor).options(
            name=self.name,
            namespace=NAMESPACE,
            lifetime="detached",
            max_concurrency=1_000_000,
            **(options | room),
        )
        self.actor = actor.remote(folder, self.app, self.spec, self.id, self.place, self.gang)

    @property
    def packed(self) -> str:
        """Its actor's handle, for the table."""
        if not self._packed:
            self._packed = base64.b64encode(cloudpickle.dumps(self.actor)).decode()
        return self._packed

    async def wait_for_death(self) -> None:
        """Wait until the actor has died; nothing is asked meanwhile."""
        with contextlib.suppress(*DEATHS):
            await self.actor.live.remote()

    @property
    def pid(self) -> int:
        """Its process; 0 while it has none."""
        return self._board.pid(self.place)

    def has_begun(self) -> bool:
        """Whether its process runs: until then it waits for resources."""
        return self._board.state(self.place) != EMPTY

    def is_leaving(self) -> bool:
        """Whether it drains by itself: its process was asked to end."""
        return self._board.state(self.place) == DRAINING

    def view(self, picked: Container[int] = ()) -> ReplicaView:
        """What decisions need to know of it.

        Args:
            picked: The slots of replicas that have been picked for calls, which may not have come yet.
        """
        ongoing, gang = self._board.ongoing(self.place), self.gang
        if not ongoing and self.place in picked:
            ongoing = 1
        if gang is None:
            return ReplicaView(self.id, self.version, self.state, ongoing)
        return ReplicaView(self.id, self.version, self.state, ongoing, gang.gang_id, gang.rank, gang.world_size)

    async def construct(self) -> None:
        """Let it construct the user's object, without taking requests yet."""
        await self.actor.construct.remote()

    async def join(self) -> None:
        """Tell it of its gang, of which another replica has been replaced."""
        await self.actor.join.remote(self.gang)

    async def start(self, listener: str | None, http: dict[str, Any]) -> None:
        """Let it construct the user's object and take requests, by HTTP too if there is a listener."""
        await self.actor.start.remote(listener, http)
        self.takes_http = listener is not None

    async def stop(self) -> None:
        """Let it finish what it has, then end its process; one whose loop is blocked cannot."""
        limit = self.spec.options.graceful_shutdown_timeout_s
        try:
            if self.silent:
                async with asyncio.timeout(_RESPONDS):
                    await self.actor.ping.remote()
            if self.state is ReplicaState.STOPPING and self.has_begun():
                async with asyncio.timeout(limit + 5):
                    await self.actor.drain.remote(limit)
        except (TimeoutError, *DEATHS):
            pass
        finally:
            self.kill()

    def kill(self) -> None:
        """End its process at once, and remove its files."""
        if self.actor is not None:
            ray.kill(self.actor)
        for path_of in (stack_path, listener_path, passing_path, free_path):
            path_of(self._board.folder, self.place).unlink(missing_ok=True)
        (self._board.folder / f"routing-{self.place}.json").unlink(missing_ok=True)
        self._board.clear(self.place)
