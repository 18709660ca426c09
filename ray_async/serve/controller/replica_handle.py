"""The controller's side of a replica: its actor, and what is known of it."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import os
from typing import Any

import ray_async as ray
from ray_async import cloudpickle
from ray_async.exceptions import RayActorError
from ray_async.serve.application import DeploymentSpec
from ray_async.serve.board import EMPTY, Board
from ray_async.serve.controller.reconcile import ReplicaState, ReplicaView
from ray_async.serve.names import NAMESPACE, REPLICA_PREFIX
from ray_async.serve.replica.actor import ReplicaActor

__all__ = ("ReplicaHandle",)


class ReplicaHandle:
    """A replica, as the controller has it.

    Args:
        app: The application's name.
        spec: The deployment.
        place: Its slot on the board.
        board: The board.
    """

    def __init__(self, app: str, spec: DeploymentSpec, place: int, board: Board) -> None:
        self.id = os.urandom(4).hex()
        self.name = f"{REPLICA_PREFIX}{app}#{spec.name}#{self.id}"
        self.app = app
        self.spec = spec
        self.version = spec.version
        self.place = place
        self.state = ReplicaState.STARTING
        self.failures = 0
        self.checked_at = 0.0
        self.work: asyncio.Task[None] | None = None
        self._board = board
        self.actor: Any = None
        self._packed = ""

    def create(self, folder: str) -> None:
        """Start the actor."""
        self._board.set_state(self.place, EMPTY)
        options = {"num_cpus": 0, **self.spec.options.ray_actor_options}
        actor = ray.remote(ReplicaActor).options(
            name=self.name,
            namespace=NAMESPACE,
            lifetime="detached",
            max_concurrency=1_000_000,
            **options,
        )
        self.actor = actor.remote(folder, self.app, self.spec, self.id, self.place)

    @property
    def packed(self) -> str:
        """Its actor's handle, for the table."""
        if not self._packed:
            self._packed = base64.b64encode(cloudpickle.dumps(self.actor)).decode()
        return self._packed

    async def wait_for_death(self) -> None:
        """Wait until the actor has died; nothing is asked meanwhile."""
        with contextlib.suppress(RayActorError):
            await self.actor.live.remote()

    def has_begun(self) -> bool:
        """Whether its process runs: until then it waits for resources."""
        return self._board.state(self.place) != EMPTY

    def view(self) -> ReplicaView:
        """What decisions need to know of it."""
        return ReplicaView(self.id, self.version, self.state, self._board.ongoing(self.place))

    async def start(self, listener: str | None, http: dict[str, Any]) -> None:
        """Let it construct the user's object."""
        await self.actor.start.remote(listener, http)

    async def stop(self) -> None:
        """Let it finish what it has, then end its process."""
        limit = self.spec.options.graceful_shutdown_timeout_s
        try:
            if self.state is ReplicaState.STOPPING and self.has_begun():
                async with asyncio.timeout(limit + 5):
                    await self.actor.drain.remote(limit)
        except (TimeoutError, RayActorError):
            pass
        finally:
            self.kill()

    def kill(self) -> None:
        """End its process at once."""
        ray.kill(self.actor)
        self._board.set_state(self.place, EMPTY)
        self._board.set_ongoing(self.place, 0)
