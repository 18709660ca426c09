"""Lifecycle of workers: starts, reports that they are ready, ends, and what follows each of these."""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping

from ray_async import exceptions as errors
from ray_async._core.node_view import NodeView
from ray_async.runtime.node.actors import Actors
from ray_async.runtime.node.classes import Classes
from ray_async.runtime.node.death.death_explainer import Deaths
from ray_async.runtime.node.death.evidence import DeathCause
from ray_async.runtime.node.death.failed_starts import FailedStarts
from ray_async.runtime.node.dispatch import Dispatch
from ray_async.runtime.node.environments import Environments
from ray_async.runtime.node.guard import guarded
from ray_async.runtime.node.listeners import Listeners
from ray_async.runtime.node.objects.object_locations import ObjectLocations
from ray_async.runtime.node.state_rows import StateRows
from ray_async.runtime.node.tasks import Tasks
from ray_async.runtime.node.workers import WorkerProcess, Workers
from ray_async.runtime.scheduler import events

__all__ = ("WorkerLifecycle",)

_logger = logging.getLogger("ray_async.node")


class WorkerLifecycle:
    """Leads workers from their start to their end.

    Args:
        processes: view of the arena's processes.
        dispatch: to the scheduler.
        workers: the processes.
        classes, actors, tasks: what workers serve and run.
        environments: in which they start.
        deaths: explains ends.
        rows: remember ends.
        locations: of objects, which may be lost with workers of a removed node.
        listeners: drivers that are warned.
        labels: of the node.
    """

    def __init__(
        self,
        processes: NodeView,
        dispatch: Dispatch,
        workers: Workers,
        classes: Classes,
        actors: Actors,
        tasks: Tasks,
        *,
        environments: Environments,
        deaths: Deaths,
        rows: StateRows,
        locations: ObjectLocations,
        listeners: Listeners,
        labels: Mapping[str, str],
    ) -> None:
        self._processes = processes
        self._dispatch = dispatch
        self._workers = workers
        self._classes = classes
        self._actors = actors
        self._tasks = tasks
        self._environments = environments
        self._deaths = deaths
        self._rows = rows
        self._locations = locations
        self._listeners = listeners
        self._labels = labels
        self._failed_starts = FailedStarts()

    # -- starts --------------------------------------------------------------------------------------------------------

    def start(self, node_id: str, env_key: str) -> None:
        """Start a worker on a logical node, in an environment."""
        job = self._environments.job_of(env_key)
        if job is None:
            self._dispatch.schedule(events.WorkerStartFailed(node_id, env_key, 1))
            return
        environment = self._environments.environment(env_key)
        number = self._locations.number(node_id)
        try:
            self._workers.fork(node_id, env_key, job, environment, dict(self._labels), number)
        except RuntimeError as error:  # there is no place for another process
            _logger.error("a worker could not be started: %s", error)
            self._dispatch.schedule(events.WorkerStartFailed(node_id, env_key, 1))

    def up(self, slot: int) -> None:
        """A worker says that it is ready."""
        worker = self._workers.by_slot.get(slot)
        if worker is None or worker.up:
            return
        worker.up = True
        self._failed_starts.succeeded(worker.env_key)
        given = self._processes.leased_class(slot)
        if given:
            self._classes.learn(given)
        self._dispatch.schedule(events.WorkerStarted(slot, worker.node_id, worker.env_key, worker.adopted))
        if given in self._classes and worker.lease is None:
            # It serves a class since the driver has leased it: have the scheduler lease it, though the queue may be
            # empty.
            self._dispatch.schedule(events.ClassDemand(given, max(1, self._classes.queue_length(given))))

    def start_failed(self, worker: WorkerProcess, reason: str) -> None:
        """A worker could not be forked."""
        self._listeners.warn(f"a worker could not be started: {reason}")
        self._give_up(worker.env_key, self._failed_starts.not_forked(worker, time.monotonic(), reason))
        self._gone(worker)
        self._report_demand(worker)

    def _give_up(self, env_key: str, reason: str | None) -> None:
        """Start no more workers for what waits now, if there is a reason."""
        if reason is not None:
            _logger.error("environment %s: %s", env_key, reason)
            self._fail_waiting(env_key, reason)

    def _fail_waiting(self, env_key: str, reason: str) -> None:
        if self._environments.environment(env_key):
            self.fail_environment(env_key, f"{reason[0].upper()}{reason[1:]}")
            return
        # Tasks still have the workers that serve them, if there are some.
        if not any(worker.lease and worker.env_key == env_key for worker in self._workers.by_slot.values()):
            self._classes.cannot_start(env_key, errors.WorkerCrashedError(f"The task was not run: {reason}"))
        self._actors.cannot_start(env_key, reason)

    def fail_environment(self, env_key: str, reason: str) -> None:
        """The environment of some classes and actors cannot be made: fail what waits for it."""
        self._failed_starts.succeeded(env_key)
        error = errors.RuntimeEnvSetupError(reason)
        self._classes.cannot_start(env_key, error)
        self._actors.cannot_start(env_key, error)

    # -- ends ----------------------------------------------------------------------------------------------------------

    def stop(self, slot: int, cause: DeathCause) -> None:
        """End a worker, as the scheduler wants."""
        worker = self._workers.by_slot.get(slot)
        if worker is not None:
            self._actors.worker_stopped(worker, cause)
            self._workers.kill(worker, cause)

    def ended(self, worker: WorkerProcess, status: int) -> None:
        """A worker is dead: take its memory back, retry or fail its task, restart its actor."""
        death = self._deaths.explain(worker, status)
        guarded(self._rows.worker_ended, worker, status)
        owner = self._processes.worker_id(worker.slot).hex()
        guarded(self._tasks.worker_died, worker.slot, death, worker.kill_cause is DeathCause.CANCELLED)
        guarded(self._processes.reap, worker.slot)
        self._locations.worker_ended(worker.node_id)
        if not worker.up:
            self._count_failed_start(worker, status)
        self._gone(worker)
        if self._actors.worker_died(worker, death) or status:
            self._actors.owner_died(owner)
        self._report_demand(worker)

    def _count_failed_start(self, worker: WorkerProcess, status: int) -> None:
        """Fail what waits for workers like this one, if several in a row could not start."""
        lines = self._workers.pump.tail.get(worker.pid)
        self._give_up(worker.env_key, self._failed_starts.failed(worker, time.monotonic(), status, lines))

    def _gone(self, worker: WorkerProcess) -> None:
        """Report to the scheduler that a worker is no more, or will not be.

        One that could not be forked may be up: the first one, to which the driver has given a lease before there was a
        process.
        """
        if worker.up:
            self._dispatch.schedule(events.WorkerDied(worker.slot))
        else:
            self._dispatch.schedule(events.WorkerStartFailed(worker.node_id, worker.env_key, 1))

    def _report_demand(self, worker: WorkerProcess) -> None:
        if worker.lease in self._classes:
            self._classes.report_demand(worker.lease)
