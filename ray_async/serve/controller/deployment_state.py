"""A deployment, as the controller has it: what is wanted of it, and its replicas."""

from __future__ import annotations

import asyncio
import logging
import time
from collections import Counter
from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING, Any

from ray_async.serve.application import DeploymentSpec
from ray_async.serve.controller.deployment_actors import DeploymentActors, names_of
from ray_async.serve.controller.failures import ATTEMPTS, Failures
from ray_async.serve.controller.gang_plan import reconcile_gangs
from ray_async.serve.controller.gangs import Gangs
from ray_async.serve.controller.health import Illness, check
from ray_async.serve.controller.reconcile import ReplicaState, Wanted
from ray_async.serve.controller.records import DeploymentRecord
from ray_async.serve.controller.replica_handle import ReplicaHandle
from ray_async.serve.controller.rooms import Rooms
from ray_async.serve.controller.scaler import Scaler
from ray_async.serve.controller.starts import Starts
from ray_async.serve.controller.table_entry import table_entry
from ray_async.serve.deaths import DEATHS, is_death
from ray_async.serve.names import deployment_key
from ray_async.serve.status_values import DeploymentStatus, DeploymentStatusOverview

if TYPE_CHECKING:
    from ray_async.serve.controller.actor import Controller

__all__ = ("DeploymentState",)

logger = logging.getLogger("ray_async.serve")
_CHECKS = 3  # that a replica may fail in a row
_ANSWERS = 2.0  # seconds for a replica to give what it records for the policy


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
        self.deleting = False
        self.abandoned = False  # whether its first deploy has failed
        self.failures = Failures(app, controller.changed)
        self._app = app
        self._controller = controller
        self.scaler = self._new_scaler(spec)
        self._gangs = Gangs(app, self.replicas, controller.board)
        self._rooms = Rooms(self.replicas)
        self._starts = Starts(controller, app, self, self.replicas, self._gangs, self._rooms)
        self._actors = DeploymentActors(
            app, controller.spawn, self._actors_started, self.start_failed, self.is_lacking, controller.changed
        )

    @classmethod
    def recovered(cls, controller: Controller, app: str, record: DeploymentRecord) -> DeploymentState:
        """A deployment that an earlier controller has written down: what lives of it goes on."""
        state = cls(controller, app, record.spec, record.serves_http)
        failures = state.failures
        failures.error, failures.failure, failures.attempts = record.error, record.failure, record.attempts
        failures.waits_for_resources, failures.proven = record.waits_for_resources, record.proven
        state.deleting, state.abandoned = record.deleting, record.abandoned
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
        failures = self.failures
        return DeploymentRecord(
            self.spec,
            self.serves_http,
            self.deleting,
            self.abandoned,
            failures.waits_for_resources,
            failures.proven,
            failures.error,
            failures.failure,
            failures.attempts,
            self.scaler.number,
            tuple(replica.record() for replica in self.replicas.values()),
        )

    def _resume(self, replica: ReplicaHandle) -> None:
        """Go on with what an earlier controller did to a replica; a replica does each such thing once."""
        if replica.state is ReplicaState.RUNNING:
            replica.checked_at = time.monotonic()
            self._controller.spawn(self._watch(replica))
            if replica.gang is not None:
                self._controller.spawn(self._starts.tell(replica))
        elif replica.state is ReplicaState.STOPPING:
            replica.work = self._controller.spawn(self._run_stop(replica))
        elif replica.gang is None or self._gangs.has_begun(replica):
            self._starts.resume(replica)
        elif replica.work is None and self._gangs.is_whole(replica):
            self._starts.resume_gang(self._gangs.members(replica))

    def change(self, spec: DeploymentSpec, serves_http: bool) -> None:
        """Want something else from now on."""
        self.scaler.change(spec, afresh=self.deleting or self.abandoned)
        self.spec, self.serves_http = spec, serves_http
        self.deleting = self.abandoned = False
        self.failures.forget()

    def roll_back(self, spec: DeploymentSpec | None, serves_http: bool) -> None:
        """Want again what ran before a deploy that has failed; None: nothing, and no replicas."""
        failure = self.failures.error
        if spec is not None:
            self.change(spec, serves_http)
            self.failures.proven = True
        else:
            self.failures.error, self.abandoned = None, True
        self.failures.failure = failure

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
        failures = self.failures
        failure = failures.error or failures.failure
        if failure is not None or self.abandoned:
            return DeploymentStatusOverview(DeploymentStatus.DEPLOY_FAILED, dict(counts), failure or "")
        if failures.unwell:
            return DeploymentStatusOverview(DeploymentStatus.UNHEALTHY, dict(counts), failures.unwell)
        status = DeploymentStatus.HEALTHY if self.stable else DeploymentStatus.UPDATING
        waits = counts[str(ReplicaState.STARTING)] > 0 or not self._actors.are_ready(self.spec)
        return DeploymentStatusOverview(status, dict(counts), failures.lacking if waits else "")

    def entry(self) -> dict[str, Any]:
        """Its entry in the table."""
        running = self.running
        return table_entry(self.spec) | {
            "access_log": self._controller.telemetry.writes_access(self.spec.options.logging_config),
            "cannot_start": bool(self.failures.unwell) and not running and self.failures.attempts >= ATTEMPTS,
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
        failures = self.failures
        may_start = failures.may_retry(now)
        self._actors.keep(self._versions(), may_start and failures.error is None)
        if failures.error is None or self.deleting:
            gangs = self.spec.options.gang_scheduling_config
            size, whole = (1, True) if gangs is None else (gangs.gang_size, gangs.restarts_whole)
            picked = self._picked()
            views = [replica.view(picked) for replica in self.replicas.values()]
            plan = reconcile_gangs(wanted, size, whole, views)
            for replica_id in plan.stop:
                if replica_id in self.replicas:  # one that starts takes those of its gang along
                    self._stop(self.replicas[replica_id])
            if may_start and self._actors.are_ready(self.spec):
                if gangs is None:
                    self._starts.single(plan.start)
                else:
                    self._starts.gangs(plan.start, size)
                    self._starts.fill(plan.fill)
        for replica in self.running:
            if replica.work is not None and not replica.work.done():
                continue
            if self._controller.listening.is_lacked(self.serves_http, replica.takes_http) and failures.error is None:
                replica.work = self._controller.spawn(self._open(replica))
                continue
            changes = replica.spec != self.spec and replica.version == self.spec.version
            if changes and failures.error is None and failures.may_retry(now):
                replica.work = self._controller.spawn(self._update(replica, self.spec))
            elif now - replica.checked_at >= self.spec.options.health_check_period_s:
                replica.checked_at = now
                replica.work = self._controller.spawn(self._check(replica))

    def _picked(self) -> Collection[int]:
        """The slots of replicas that have been picked for calls lately, where some may have to stop."""
        if self.spec.options.autoscaling_config is None or len(self.running) <= self.target:
            return ()
        return self._controller.tallies.of(deployment_key(self._app, self.spec.name)).picked

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
            self.failures.heal()  # the next request makes it try again
        self._controller.changed()

    def is_lacking(self, message: str) -> bool:
        """Note what the node lacks; whether to wait for it."""
        return self.failures.is_lacking(message)

    def started(self, replicas: Sequence[ReplicaHandle]) -> None:
        """Note replicas that have started."""
        for replica in replicas:
            if replica.state is ReplicaState.STARTING:
                replica.state = ReplicaState.RUNNING
                replica.checked_at = time.monotonic()
                if replica.version == self.spec.version:
                    self.failures.heal()
                self._controller.spawn(self._watch(replica))
        if not any(one.state is ReplicaState.STARTING for one in self.replicas.values()):
            self.failures.lacking = ""  # else another one may still wait for what was said
        self._controller.changed()

    def _actors_started(self, version: str) -> None:
        """Forget why actors could not start; a replica that is not well says so again."""
        self.failures.lacking = ""
        if version == self.spec.version:
            self.failures.heal()

    def start_failed(self, version: str, error: Exception) -> None:
        """Note that something of a version could not start: a replica, or an actor that replicas share."""
        if version == self.spec.version and not self.deleting:
            self.failures.could_not_start(self.spec, time.monotonic(), error)
        self._controller.changed()

    async def _open(self, replica: ReplicaHandle) -> None:
        """Let a replica that runs take HTTP requests: its application has got a prefix since."""
        try:
            await replica.start(*await self._controller.listening.for_replica(True))
        except Exception as error:
            if is_death(error):
                self._lost(replica)
            else:
                self.start_failed(replica.version, error)
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
            elif self.failures.proven:
                self.failures.attempts += 1
                self.failures.retry_later(time.monotonic(), str(error))
            else:
                self.failures.error = str(error)
        self._controller.changed()

    async def _check(self, replica: ReplicaHandle) -> None:
        labels, counts = (self._app, self.spec.name), self._controller.telemetry.counts
        began = time.monotonic()
        try:
            await check(replica, self.spec.options.health_check_timeout_s, self._controller.folder)
            if replica.failures:
                replica.failures, self.failures.unwell = 0, ""
                self._controller.changed()
        except DEATHS:
            self._lost(replica)
        except Illness as illness:
            replica.failures += 1
            if counts is not None:
                counts.count("serve_health_check_failures", (*labels, replica.id))
            logger.warning("Replica %s failed health check %d: %s", replica.name, replica.failures, illness)
            failures = self.failures
            failures.unwell = f"Replica {replica.name} failed {replica.failures} health checks in a row: {illness}"
            if replica.failures >= _CHECKS:
                if not failures.proven and replica.version == self.spec.version:
                    failures.error = failures.unwell
                self._stop(replica)
            self._controller.changed()
        finally:
            if counts is not None:
                counts.observe("serve_health_check_latency_ms", labels, (time.monotonic() - began) * 1000)

    async def _watch(self, replica: ReplicaHandle) -> None:
        await replica.wait_for_death()
        if replica.id in self.replicas and replica.state is ReplicaState.RUNNING:
            self._lost(replica)

    def _lost(self, replica: ReplicaHandle) -> None:
        if replica.id not in self.replicas:
            return
        logger.warning("Replica %s has died.", replica.name)
        self.forget(replica)

    def forget(self, replica: ReplicaHandle) -> None:
        """Forget a replica, and what is left of it."""
        if self.replicas.pop(replica.id, None) is not None:
            replica.kill()
            self._controller.give_place(replica.place)
            if not self.failures.attempts and not any(one.failures for one in self.replicas.values()):
                self.failures.unwell = ""
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
                self.forget(replica)
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
            self.forget(replica)
