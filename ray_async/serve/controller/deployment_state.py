"""A deployment, as the controller has it: what is wanted of it, and its replicas."""

from __future__ import annotations

import asyncio
import logging
import time
from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from ray_async.serve.application import DeploymentSpec
from ray_async.serve.controller.deployment_actors import DeploymentActors, names_of
from ray_async.serve.controller.gang_plan import reconcile_gangs
from ray_async.serve.controller.gangs import Gangs
from ray_async.serve.controller.health import Illness, check
from ray_async.serve.controller.reconcile import ReplicaState, Wanted
from ray_async.serve.controller.records import DeploymentRecord
from ray_async.serve.controller.replica_handle import ReplicaHandle
from ray_async.serve.controller.rooms import Rooms
from ray_async.serve.controller.scaler import Scaler
from ray_async.serve.controller.starting import wait_for_begin
from ray_async.serve.controller.table_entry import table_entry
from ray_async.serve.deaths import DEATHS, is_death
from ray_async.serve.names import deployment_key
from ray_async.serve.status_values import DeploymentStatus, DeploymentStatusOverview

if TYPE_CHECKING:
    from ray_async.serve.controller.actor import Controller

__all__ = ("DeploymentState",)

logger = logging.getLogger("ray_async.serve")
_ATTEMPTS = 3  # of a constructor, before a deploy fails
_CHECKS = 3  # that a replica may fail in a row
_ANSWERS = 2.0  # seconds for a replica to give what it records for the policy
_SHORTEST, _LONGEST = 0.5, 30.0  # seconds until what has run before, and does not start now, is tried again


class DeploymentState:
    """One deployment.

    Args:
        controller: Whom it belongs to.
        app: Its application's name.
        spec: What is wanted.
        serves_http: Whether its replicas take HTTP requests.
    """

    def __init__(self, controller: Controller, app: str, spec: DeploymentSpec, serves_http: bool) -> None:
        self.spec = spec
        self.serves_http = serves_http
        self.replicas: dict[str, ReplicaHandle] = {}
        self.error: str | None = None
        self.failure: str | None = None  # of the deploy that was rolled back
        self.deleting = False
        self.abandoned = False  # whether its first deploy has failed
        self.waits_for_resources = False
        self.proven = False  # whether what is wanted has run: it is tried for ever then, and not taken back
        self.unwell = ""  # why what is proven does not start, or is not well
        self._retry_at = 0.0
        self._lacking = ""
        self._app = app
        self._controller = controller
        self._attempts = 0
        self.scaler = self._new_scaler(spec)
        self._gangs = Gangs(app, self.replicas, controller.board)
        self._rooms = Rooms(self.replicas)
        self._actors = DeploymentActors(
            app, controller.spawn, self._actors_started, self._version_failed, self._is_lacking, controller.changed
        )

    @classmethod
    def recovered(cls, controller: Controller, app: str, record: DeploymentRecord) -> DeploymentState:
        """A deployment that an earlier controller has written down: what lives of it goes on."""
        state = cls(controller, app, record.spec, record.serves_http)
        state.error, state.failure, state._attempts = record.error, record.failure, record.attempts
        state.deleting, state.abandoned = record.deleting, record.abandoned
        state.waits_for_resources, state.proven = record.waits_for_resources, record.proven
        state.scaler = state._new_scaler(record.spec, record.number)
        for one in record.replicas:
            replica = ReplicaHandle.found(app, one, controller.board)
            if replica is not None:
                state.replicas[replica.id] = replica
                state._gangs.note(replica)
                state._rooms.note(replica)
        for replica in list(state.replicas.values()):
            state._resume(replica)
        return state

    def _new_scaler(self, spec: DeploymentSpec, number: int | None = None) -> Scaler:
        return Scaler(self._app, spec, self._stats, self._scaled, self._controller.capacity, number)

    def record(self) -> DeploymentRecord:
        """What a new controller must know of it."""
        return DeploymentRecord(
            self.spec,
            self.serves_http,
            self.deleting,
            self.abandoned,
            self.waits_for_resources,
            self.proven,
            self.error,
            self.failure,
            self._attempts,
            self.scaler.number,
            tuple(replica.record() for replica in self.replicas.values()),
        )

    def _resume(self, replica: ReplicaHandle) -> None:
        """Go on with what an earlier controller did to a replica; a replica does each such thing once."""
        if replica.state is ReplicaState.RUNNING:
            replica.checked_at = time.monotonic()
            self._controller.spawn(self._watch(replica))
            if replica.gang is not None:
                self._controller.spawn(self._tell(replica))
        elif replica.state is ReplicaState.STOPPING:
            replica.work = self._controller.spawn(self._run_stop(replica))
        elif replica.gang is None or self._gangs.has_begun(replica):
            replica.work = self._controller.spawn(self._run_start(replica))
        elif replica.work is None and self._gangs.is_whole(replica):
            self._begin_gang(self._gangs.members(replica))

    def change(self, spec: DeploymentSpec, serves_http: bool) -> None:
        """Want something else from now on."""
        self.scaler.change(spec, afresh=self.deleting or self.abandoned)
        self.spec, self.serves_http = spec, serves_http
        self.error, self.failure, self._lacking = None, None, ""
        self.deleting = self.abandoned = self.proven = False
        self._heal()

    def roll_back(self, spec: DeploymentSpec | None, serves_http: bool) -> None:
        """Want again what ran before a deploy that has failed; None: nothing, and no replicas."""
        failure = self.error
        if spec is not None:
            self.change(spec, serves_http)
            self.proven = True
        else:
            self.error, self.abandoned = None, True
        self.failure = failure

    def _heal(self) -> None:
        self.unwell, self._attempts, self._retry_at = "", 0, 0.0

    def _failed(self, why: str) -> None:
        """Try again later what has run before."""
        self.unwell = why
        self._retry_at = time.monotonic() + min(_LONGEST, _SHORTEST * 2 ** min(self._attempts, 10))
        self._controller.changed()

    @property
    def target(self) -> int:
        """How many replicas there shall be."""
        return 0 if self.deleting or self.abandoned else self.scaler.target

    @property
    def may_be_at_zero(self) -> bool:
        """Whether it may be without replicas, and callable."""
        return self.scaler.may_be_at_zero and not self.deleting

    @property
    def running(self) -> list[ReplicaHandle]:
        """The replicas that take requests."""
        return [replica for replica in self.replicas.values() if replica.state is ReplicaState.RUNNING]

    @property
    def lives(self) -> bool:
        """Whether there is anything of it: replicas, actors, or room that is reserved for them."""
        return bool(self.replicas or self._rooms or self._actors)

    @property
    def actor_names(self) -> set[str]:
        """The names of the actors that its replicas share."""
        return {name for spec in self._versions() for name in names_of(self._app, spec)}

    @property
    def room_names(self) -> set[str]:
        """The names of its placement groups: of its replicas, and of its gangs."""
        return self._rooms.names

    def _versions(self) -> list[DeploymentSpec]:
        """What is wanted, and what its replicas were started as, each version once."""
        wanted = [] if self.deleting or self.abandoned else [self.spec]
        specs = [*wanted, *(replica.spec for replica in self.replicas.values())]
        return list({spec.version: spec for spec in reversed(specs)}.values())

    @property
    def stable(self) -> bool:
        """Whether all is as it was asked for."""
        if self.abandoned:
            return not self.lives
        if not (self.deleting or self._actors.are_ready(self.spec)):
            return False
        alive = [replica for replica in self.replicas.values() if replica.state is not ReplicaState.STOPPING]
        return len(alive) == self.target and all(
            replica.state is ReplicaState.RUNNING
            and replica.spec == self.spec
            and not self._controller.listening.is_lacked(self.serves_http, replica.takes_http)
            for replica in alive
        )

    def overview(self) -> DeploymentStatusOverview:
        """Its status."""
        counts = Counter(str(replica.state) for replica in self.replicas.values())
        failure = self.error or self.failure
        if failure is not None or self.abandoned:
            return DeploymentStatusOverview(DeploymentStatus.DEPLOY_FAILED, dict(counts), failure or "")
        if self.unwell:
            return DeploymentStatusOverview(DeploymentStatus.UNHEALTHY, dict(counts), self.unwell)
        status = DeploymentStatus.HEALTHY if self.stable else DeploymentStatus.UPDATING
        waits = counts[str(ReplicaState.STARTING)] > 0
        return DeploymentStatusOverview(status, dict(counts), self._lacking if waits else "")

    def entry(self) -> dict[str, Any]:
        """Its entry in the table."""
        running = self.running
        return table_entry(self.spec) | {
            "access_log": self._controller.telemetry.writes_access(self.spec.options.logging_config),
            "cannot_start": bool(self.unwell) and not running and self._attempts >= _ATTEMPTS,
            "replicas": [(replica.name, replica.packed, replica.place) for replica in running],
        }

    def step(self) -> None:
        """Start, stop and look after replicas, as far as that can be done now."""
        now = time.monotonic()
        self._scale(now)
        for replica in self.running:
            if replica.is_leaving():
                self._stop(replica)
        options = self.spec.options
        step, surge = options.rolling_update_percentage, options.max_surge_percent
        wanted = Wanted(self.spec.version, self.target, step, options.needs_room, surge)
        may_start = now >= self._retry_at
        self._actors.keep(self._versions(), may_start and self.error is None)
        if self.error is None or self.deleting:
            gangs = self.spec.options.gang_scheduling_config
            size, whole = (1, True) if gangs is None else (gangs.gang_size, gangs.restarts_whole)
            plan = reconcile_gangs(wanted, size, whole, [replica.view() for replica in self.replicas.values()])
            for replica_id in plan.stop:
                if replica_id in self.replicas:  # one that starts takes those of its gang along
                    self._stop(self.replicas[replica_id])
            if may_start and self._actors.are_ready(self.spec):
                if gangs is None:
                    self._start(plan.start)
                else:
                    self._start_gangs(plan.start, size)
                    self._fill(plan.fill)
        for replica in self.running:
            if replica.work is not None and not replica.work.done():
                continue
            if self._controller.listening.is_lacked(self.serves_http, replica.takes_http) and self.error is None:
                replica.work = self._controller.spawn(self._open(replica))
                continue
            changes = replica.spec != self.spec and replica.version == self.spec.version
            if changes and self.error is None and now >= self._retry_at:
                replica.work = self._controller.spawn(self._update(replica, self.spec))
            elif now - replica.checked_at >= self.spec.options.health_check_period_s:
                replica.checked_at = now
                replica.work = self._controller.spawn(self._check(replica))

    def _scale(self, now: float) -> None:
        if self.deleting or self.abandoned:
            return
        key = deployment_key(self._app, self.spec.name)
        views = [replica.view() for replica in self.running]
        tallies, spawn = self._controller.tallies, self._controller.spawn
        self.scaler.look(now, views, lambda: tallies.of(key), spawn)
        if self._controller.telemetry.counts is not None:
            self.scaler.count(self._controller.telemetry.counts)

    async def _stats(self) -> dict[str, dict[str, float]]:
        """What replicas record for the policy, by their ids; without those that do not answer in time, or fail."""
        running = self.running
        asked = [asyncio.wait_for(replica.actor.autoscaling_stats.remote(), _ANSWERS) for replica in running]
        found = await asyncio.gather(*asked, return_exceptions=True)
        for replica, stats in zip(running, found, strict=True):
            if isinstance(stats, BaseException):
                logger.warning("Replica %s gave no statistics: %s", replica.name, stats)
        return {one.id: stats for one, stats in zip(running, found, strict=True) if isinstance(stats, dict)}

    def _scaled(self) -> None:
        if self.target == 0:
            self._heal()  # the next request makes it try again
        self._controller.changed()

    def _start(self, count: int) -> None:
        places = [self._controller.take_place() for _ in range(count)]
        new = [ReplicaHandle(self._app, self.spec, place, self._controller.board) for place in places]
        if not new:
            return
        self.replicas.update({replica.id: replica for replica in new})
        self._controller.commit()  # before there are actors: a new controller must find all of them
        for replica in new:
            replica.work = self._controller.spawn(self._run_start(replica))

    def _start_gangs(self, count: int, size: int) -> None:
        take = self._controller.take_place
        gangs = [self._gangs.new(self.spec, [take() for _ in range(size)]) for _ in range(count)]
        if gangs:
            self._controller.commit()
        for members in gangs:
            self._begin_gang(members)

    def _begin_gang(self, members: list[ReplicaHandle]) -> None:
        work = self._controller.spawn(self._run_gang_start(members))
        for one in members:
            one.work = work

    async def _run_gang_start(self, members: list[ReplicaHandle]) -> None:
        """Start a gang: there is room for all of it, then all are constructed, then all take requests; or none."""
        try:
            await self._rooms.reserve(members[0], self._is_lacking)
            for one in members:
                await self._create(one)
            await asyncio.gather(*(one.construct() for one in members))
            http = await self._controller.listening.for_replica(self.serves_http)
            await asyncio.gather(*(one.start(*http) for one in members))
        except (Exception, asyncio.CancelledError) as error:
            for one in members:
                self._forget(one)
            if isinstance(error, asyncio.CancelledError):
                raise
            self._start_failed(members[0], error)
            return
        self._started(members)

    def _fill(self, ranks: Sequence[tuple[str, int]]) -> None:
        """Start single replicas of gangs that have lost theirs."""
        for gang_id, rank in ranks:
            new = self._gangs.fill(self.spec, gang_id, rank, self._controller.take_place())
            self._controller.commit()
            new.work = self._controller.spawn(self._run_start(new))

    async def _tell(self, replica: ReplicaHandle) -> None:
        try:
            await replica.join()
        except DEATHS:
            logger.debug("Replica %s has died before it was told of its gang.", replica.name)

    async def _run_start(self, replica: ReplicaHandle) -> None:
        start: asyncio.Future[None] = asyncio.ensure_future(self._begin(replica))
        try:
            await wait_for_begin(replica, start, self._is_lacking)
            await start
        except (Exception, asyncio.CancelledError) as error:
            start.cancel()
            self._forget(replica)
            if isinstance(error, asyncio.CancelledError):
                raise
            self._start_failed(replica, error)
            return
        self._started([replica])
        for one in self._gangs.members(replica):
            self._controller.spawn(self._tell(one))

    def _started(self, replicas: Sequence[ReplicaHandle]) -> None:
        for replica in replicas:
            if replica.state is ReplicaState.STARTING:
                replica.state = ReplicaState.RUNNING
                replica.checked_at = time.monotonic()
                if replica.version == self.spec.version:
                    self._heal()
                self._controller.spawn(self._watch(replica))
        if not any(one.state is ReplicaState.STARTING for one in self.replicas.values()):
            self._lacking = ""  # else another one may still wait for what was said
        self._controller.changed()

    async def _create(self, replica: ReplicaHandle) -> None:
        """Create a replica's actor, if there is none yet."""
        room = await self._rooms.options(replica)
        if replica.actor is None:
            replica.create(str(self._controller.folder), room)

    async def _begin(self, replica: ReplicaHandle) -> None:
        if replica.gang is None and replica.actor is None:
            await self._rooms.reserve(replica, self._is_lacking)
        await self._create(replica)
        await replica.start(*await self._controller.listening.for_replica(self.serves_http))

    def _is_lacking(self, message: str) -> bool:
        """Note what the node lacks; whether to wait for it."""
        if not self.waits_for_resources and not self.proven:
            self.error = message
            self._controller.changed()
            return False
        self._lacking = message
        logger.warning("%s It waits for them.", message)
        return True

    def _start_failed(self, replica: ReplicaHandle, error: Exception) -> None:
        self._version_failed(replica.version, error)

    def _actors_started(self, version: str) -> None:
        """Forget why actors could not start; a replica that is not well says so again."""
        self._lacking = ""
        if version == self.spec.version:
            self._heal()

    def _version_failed(self, version: str, error: Exception) -> None:
        """Note that something of a version could not start: a replica, or an actor that replicas share."""
        if version == self.spec.version and not self.deleting:
            self._attempts += 1
            most = min(_ATTEMPTS, max(1, self.spec.options.max_constructor_retry_count))
            if self.proven:
                logger.error("Deployment %s of %s could not start: %s", self.spec.name, self._app, error)
                self._failed(str(error))
            elif self._attempts >= most or self.error is not None:
                self.error = str(error)
        self._controller.changed()

    async def _open(self, replica: ReplicaHandle) -> None:
        """Let a replica that runs take HTTP requests: its application has got a prefix since."""
        try:
            await replica.start(*await self._controller.listening.for_replica(True))
        except Exception as error:
            if is_death(error):
                self._lost(replica)
            else:
                self._version_failed(replica.version, error)
        self._controller.changed()

    async def _update(self, replica: ReplicaHandle, spec: DeploymentSpec) -> None:
        try:
            await replica.actor.update.remote(spec)
            replica.spec = spec
        except Exception as error:
            if is_death(error):
                self._lost(replica)
            elif spec != self.spec:  # what was wanted before: nobody asks for it any more
                logger.warning("Replica %s could not take over options that are not wanted any more", replica.name)
            elif self.proven:
                self._attempts += 1
                self._failed(str(error))
            else:
                self.error = str(error)
        self._controller.changed()

    async def _check(self, replica: ReplicaHandle) -> None:
        try:
            await check(replica, self.spec.options.health_check_timeout_s, self._controller.folder)
            if replica.failures:
                replica.failures, self.unwell = 0, ""
                self._controller.changed()
        except DEATHS:
            self._lost(replica)
        except Illness as illness:
            replica.failures += 1
            logger.warning("Replica %s failed health check %d: %s", replica.name, replica.failures, illness)
            self.unwell = f"Replica {replica.name} failed {replica.failures} health checks in a row: {illness}"
            if replica.failures >= _CHECKS:
                if not self.proven and replica.version == self.spec.version:
                    self.error = self.unwell
                self._stop(replica)
            self._controller.changed()

    async def _watch(self, replica: ReplicaHandle) -> None:
        await replica.wait_for_death()
        if replica.id in self.replicas and replica.state is ReplicaState.RUNNING:
            self._lost(replica)

    def _lost(self, replica: ReplicaHandle) -> None:
        if replica.id not in self.replicas:
            return
        logger.warning("Replica %s has died.", replica.name)
        self._forget(replica)

    def _forget(self, replica: ReplicaHandle) -> None:
        if self.replicas.pop(replica.id, None) is not None:
            replica.kill()
            self._controller.give_place(replica.place)
            if not self._attempts and not any(one.failures for one in self.replicas.values()):
                self.unwell = ""
            self._gangs.forget(replica)
            if self._rooms.is_last(replica):
                self._controller.spawn(self._release(replica))
            self._controller.changed()

    async def _release(self, replica: ReplicaHandle) -> None:
        try:
            await self._rooms.release(replica)
        finally:
            self._controller.changed()

    def _stop(self, replica: ReplicaHandle) -> None:
        if replica.state is ReplicaState.STARTING:
            if replica.work is None:  # of a gang of which an earlier controller has started a part
                self._forget(replica)
            else:
                replica.work.cancel()
            return
        replica.state = ReplicaState.STOPPING
        self._controller.changed()
        replica.work = self._controller.spawn(self._run_stop(replica))

    async def _run_stop(self, replica: ReplicaHandle) -> None:
        try:
            await replica.stop()
        finally:
            self._forget(replica)
