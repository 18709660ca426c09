"""Starts of replicas: of single ones, of whole gangs, and of those that take a lost one's place."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol

from ray_async.serve.application import DeploymentSpec
from ray_async.serve.controller.gangs import Gangs
from ray_async.serve.controller.replica_handle import ReplicaHandle
from ray_async.serve.controller.rooms import Rooms
from ray_async.serve.controller.starting import wait_for_begin
from ray_async.serve.deaths import DEATHS

if TYPE_CHECKING:
    from ray_async.serve.controller.actor import Controller

__all__ = ("Starts",)

logger = logging.getLogger("ray_async.serve")


class Deployment(Protocol):
    """The deployment, as far as starts need it."""

    spec: DeploymentSpec
    serves_http: bool

    def is_lacking(self, message: str) -> bool:
        """Note what the node lacks; whether to wait for it."""
        ...

    def started(self, replicas: Sequence[ReplicaHandle]) -> None:
        """Note replicas that have started."""
        ...

    def start_failed(self, version: str, error: Exception) -> None:
        """Note that a replica of a version could not start."""
        ...

    def forget(self, replica: ReplicaHandle) -> None:
        """Forget a replica, and what is left of it."""
        ...


class Starts:
    """Starts the replicas of one deployment.

    Args:
        controller: The controller.
        app: The application's name.
        deployment: The deployment.
        replicas: Its replicas by their ids; new ones are added.
        gangs: Its gangs.
        rooms: Its rooms.
    """

    def __init__(
        self,
        controller: Controller,
        app: str,
        deployment: Deployment,
        replicas: dict[str, ReplicaHandle],
        gangs: Gangs,
        rooms: Rooms,
    ) -> None:
        self._controller = controller
        self._app = app
        self._deployment = deployment
        self._replicas = replicas
        self._gangs = gangs
        self._rooms = rooms

    def single(self, count: int) -> None:
        """Start replicas of no gang."""
        places = [self._controller.take_place() for _ in range(count)]
        new = [ReplicaHandle(self._app, self._deployment.spec, place, self._controller.board) for place in places]
        if not new:
            return
        self._replicas.update({replica.id: replica for replica in new})
        self._controller.commit()  # before there are actors: a new controller must find all of them
        for replica in new:
            self.resume(replica)

    def gangs(self, count: int, size: int) -> None:
        """Start whole gangs."""
        take = self._controller.take_place
        gangs = [self._gangs.new(self._deployment.spec, [take() for _ in range(size)]) for _ in range(count)]
        if gangs:
            self._controller.commit()
        for members in gangs:
            self.resume_gang(members)

    def fill(self, ranks: Sequence[tuple[str, int]]) -> None:
        """Start single replicas of gangs that have lost theirs."""
        for gang_id, rank in ranks:
            new = self._gangs.fill(self._deployment.spec, gang_id, rank, self._controller.take_place())
            self._controller.commit()
            self.resume(new)

    def resume(self, replica: ReplicaHandle) -> None:
        """Start a replica, or go on with its start; a replica does each step of that once."""
        replica.work = self._controller.spawn(self._run(replica))

    def resume_gang(self, members: list[ReplicaHandle]) -> None:
        """Start a gang, or go on with its start."""
        work = self._controller.spawn(self._run_gang(members))
        for one in members:
            one.work = work

    async def tell(self, replica: ReplicaHandle) -> None:
        """Tell a replica of its gang, of which another one has been replaced."""
        try:
            await replica.join()
        except DEATHS:
            logger.debug("Replica %s has died before it was told of its gang.", replica.name)

    async def _run_gang(self, members: list[ReplicaHandle]) -> None:
        """Start a gang: there is room for all of it, then all are constructed, then all take requests; or none."""
        try:
            await self._rooms.reserve(members[0], self._deployment.is_lacking)
            for one in members:
                await self._create(one)
            await asyncio.gather(*(one.construct() for one in members))
            http = await self._controller.listening.for_replica(self._deployment.serves_http)
            await asyncio.gather(*(one.start(*http) for one in members))
        except (Exception, asyncio.CancelledError) as error:
            for one in members:
                self._deployment.forget(one)
            if isinstance(error, asyncio.CancelledError):
                raise
            self._deployment.start_failed(members[0].version, error)
            return
        self._deployment.started(members)

    async def _run(self, replica: ReplicaHandle) -> None:
        start: asyncio.Future[None] = asyncio.ensure_future(self._begin(replica))
        try:
            await wait_for_begin(replica, start, self._deployment.is_lacking)
            await start
        except (Exception, asyncio.CancelledError) as error:
            start.cancel()
            self._deployment.forget(replica)
            if isinstance(error, asyncio.CancelledError):
                raise
            self._deployment.start_failed(replica.version, error)
            return
        self._deployment.started([replica])
        for one in self._gangs.members(replica):
            self._controller.spawn(self.tell(one))

    async def _begin(self, replica: ReplicaHandle) -> None:
        if replica.gang is None and replica.actor is None:
            await self._rooms.reserve(replica, self._deployment.is_lacking)
        await self._create(replica)
        await replica.start(*await self._controller.listening.for_replica(self._deployment.serves_http))

    async def _create(self, replica: ReplicaHandle) -> None:
        """Create a replica's actor, if there is none yet."""
        room = await self._rooms.options(replica)
        if replica.actor is None:
            replica.create(str(self._controller.folder), room)
