"""A deployment, as the controller has it: what is wanted of it, and its replicas."""

from __future__ import annotations

import asyncio
import logging
import time
from collections import Counter
from typing import TYPE_CHECKING

import ray_async as ray
from ray_async.exceptions import RayActorError
from ray_async.serve.application import DeploymentSpec
from ray_async.serve.controller.autoscaling import ScalingState, decide
from ray_async.serve.controller.reconcile import ReplicaState, Wanted, reconcile
from ray_async.serve.controller.replica_handle import ReplicaHandle
from ray_async.serve.controller.resources import Lack, asked_resources, lack
from ray_async.serve.status_values import DeploymentStatus, DeploymentStatusOverview

if TYPE_CHECKING:
    from ray_async.serve.controller.actor import Controller

__all__ = ("DeploymentState",)

logger = logging.getLogger("ray_async.serve")
_ATTEMPTS = 3  # of a constructor, before a deploy fails
_LOOK = 0.5  # seconds between two looks at a replica that has not begun
_PATIENCE = 4.0  # seconds that a replica may wait for resources that others use before that is said


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
        self._lacking = ""
        self._app = app
        self._controller = controller
        self._attempts = 0
        self._scaling = ScalingState(spec.options.initial_replicas)
        self._scaled_at = 0.0

    def change(self, spec: DeploymentSpec, serves_http: bool) -> None:
        """Want something else from now on."""
        if spec.options != self.spec.options:
            self._scaling = ScalingState(spec.options.initial_replicas)
        self.spec, self.serves_http = spec, serves_http
        self.error, self.failure, self._attempts, self._lacking = None, None, 0, ""
        self.deleting = self.abandoned = False

    def roll_back(self, spec: DeploymentSpec | None, serves_http: bool) -> None:
        """Want again what ran before a deploy that has failed; None: nothing, and no replicas."""
        failure = self.error
        if spec is not None:
            self.change(spec, serves_http)
        else:
            self.error, self.abandoned = None, True
        self.failure = failure

    @property
    def target(self) -> int:
        """How many replicas there shall be."""
        return 0 if self.deleting or self.abandoned else self._scaling.target

    @property
    def running(self) -> list[ReplicaHandle]:
        """The replicas that take requests."""
        return [replica for replica in self.replicas.values() if replica.state is ReplicaState.RUNNING]

    @property
    def stable(self) -> bool:
        """Whether all is as it was asked for."""
        alive = [replica for replica in self.replicas.values() if replica.state is not ReplicaState.STOPPING]
        return len(alive) == self.target and all(
            replica.state is ReplicaState.RUNNING and replica.spec == self.spec for replica in alive
        )

    def overview(self) -> DeploymentStatusOverview:
        """Its status."""
        counts = Counter(str(replica.state) for replica in self.replicas.values())
        failure = self.error or self.failure
        if failure is not None or self.abandoned:
            return DeploymentStatusOverview(DeploymentStatus.DEPLOY_FAILED, dict(counts), failure or "")
        status = DeploymentStatus.HEALTHY if self.stable else DeploymentStatus.UPDATING
        waits = counts[str(ReplicaState.STARTING)] > 0
        return DeploymentStatusOverview(status, dict(counts), self._lacking if waits else "")

    def step(self) -> None:
        """Start, stop and look after replicas, as far as that can be done now."""
        now = time.monotonic()
        self._scale(now)
        actor = self.spec.options.ray_actor_options
        held = any(actor.get(key) for key in ("num_cpus", "num_gpus", "resources", "memory"))
        wanted = Wanted(self.spec.version, self.target, self.spec.options.rolling_update_percentage, held)
        if self.error is None or self.deleting:
            plan = reconcile(wanted, [replica.view() for replica in self.replicas.values()])
            for replica_id in plan.stop:
                self._stop(self.replicas[replica_id])
            for _ in range(plan.start):
                self._start()
        for replica in self.running:
            if replica.work is not None and not replica.work.done():
                continue
            if replica.spec != self.spec and replica.version == self.spec.version and self.error is None:
                replica.work = self._controller.spawn(self._update(replica, self.spec))
            elif now - replica.checked_at >= self.spec.options.health_check_period_s:
                replica.checked_at = now
                replica.work = self._controller.spawn(self._check(replica))

    def _scale(self, now: float) -> None:
        config = self.spec.options.autoscaling_config
        if config is None or now - self._scaled_at < config.metrics_interval_s or self.deleting:
            return
        self._scaled_at = now
        ongoing = sum(replica.view().ongoing for replica in self.running)
        self._scaling = decide(config, self._scaling, now, ongoing)

    def _start(self) -> None:
        replica = ReplicaHandle(self._app, self.spec, self._controller.take_place(), self._controller.board)
        self.replicas[replica.id] = replica
        replica.create(str(self._controller.folder))
        replica.work = self._controller.spawn(self._run_start(replica))

    async def _run_start(self, replica: ReplicaHandle) -> None:
        start = asyncio.ensure_future(replica.start(*self._controller.listening(self.serves_http)))
        try:
            await self._wait_for_begin(replica, start)
            await start
        except (Exception, asyncio.CancelledError) as error:
            start.cancel()
            self._forget(replica)
            if isinstance(error, asyncio.CancelledError):
                raise
            self._start_failed(replica, error)
            return
        self._lacking = ""
        if replica.state is ReplicaState.STARTING:
            replica.state = ReplicaState.RUNNING
            replica.checked_at = time.monotonic()
            self._attempts = 0
            self._controller.spawn(self._watch(replica))
        self._controller.changed()

    async def _wait_for_begin(self, replica: ReplicaHandle, start: asyncio.Future[None]) -> None:
        """Wait until a replica's process runs.

        Raises:
            ResourceWarning: The node lacks what the replica asks for, and the application does not wait for that.
        """
        created_at = time.monotonic()
        asked = asked_resources(replica.spec.options.ray_actor_options)
        said = False
        while asked and not replica.has_begun():
            done, _ = await asyncio.wait([start], timeout=_LOOK)
            if done or replica.has_begun():
                return
            total, free = await asyncio.to_thread(lambda: (ray.cluster_resources(), ray.available_resources()))
            lacking = lack(asked, total, free)
            patient = time.monotonic() - created_at < _PATIENCE
            if said or lacking is Lack.NOTHING or (lacking is Lack.FREE and patient):
                continue
            message = (
                f"A replica of deployment {self.spec.name!r} cannot start: it asks for {_plain(replica.spec)}, and the "
                f"node has {_numbers(total)}, of which {_numbers(free)} are free."
            )
            if not self.waits_for_resources:
                self.error = message
                self._controller.changed()
                raise ResourceWarning(message)
            said, self._lacking = True, message
            logger.warning("%s It waits for them.", message)

    def _start_failed(self, replica: ReplicaHandle, error: Exception) -> None:
        if replica.version == self.spec.version and not self.deleting:
            self._attempts += 1
            most = min(_ATTEMPTS, max(1, self.spec.options.max_constructor_retry_count))
            if self._attempts >= most or self.error is not None:
                self.error = str(error)
        self._controller.changed()

    async def _update(self, replica: ReplicaHandle, spec: DeploymentSpec) -> None:
        try:
            await replica.actor.update.remote(spec)
            replica.spec = spec
        except RayActorError:
            self._lost(replica)
        except Exception as error:
            self.error = str(error)
        self._controller.changed()

    async def _check(self, replica: ReplicaHandle) -> None:
        try:
            async with asyncio.timeout(self.spec.options.health_check_timeout_s):
                await replica.actor.check_health.remote()
            replica.failures = 0
        except RayActorError:
            self._lost(replica)
        except Exception as error:
            replica.failures += 1
            logger.warning("Replica %s failed health check %d: %s", replica.name, replica.failures, error)
            if replica.failures >= 3:
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
            self._controller.changed()

    def _stop(self, replica: ReplicaHandle) -> None:
        if replica.state is ReplicaState.STARTING and replica.work is not None:
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


def _plain(spec: DeploymentSpec) -> dict[str, object]:
    return {key: value for key, value in spec.options.ray_actor_options.items() if value}


def _numbers(resources: dict[str, float]) -> dict[str, float]:
    return {key: value for key, value in resources.items() if not key.startswith("node:") and "memory" not in key}
