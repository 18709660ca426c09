"""Actors of the node: placing, restarting and ending them."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import TYPE_CHECKING

from ray_async import exceptions as errors
from ray_async._core.constants import ActorState, RecordState, WorkerFlag
from ray_async.runtime.node.actor_table import Actor, ActorTable
from ray_async.runtime.node.arena_views import ArenaViews
from ray_async.runtime.node.death.evidence import DeathCause
from ray_async.runtime.node.death.survived_deaths import SurvivedDeaths
from ray_async.runtime.node.dispatch import Dispatch
from ray_async.runtime.node.environments import Environments
from ray_async.runtime.node.guard import guarded
from ray_async.runtime.node.other_nodes import NodeMembership
from ray_async.runtime.node.pending_arguments import ArgumentWatch, PendingArguments
from ray_async.runtime.node.record_failures import RecordFailures
from ray_async.runtime.node.requirements import actor_spec
from ray_async.runtime.node.restart import Restart
from ray_async.runtime.node.workers import WorkerProcess, Workers
from ray_async.runtime.scheduler import events
from ray_async.spec.actor_description import ActorDescription

if TYPE_CHECKING:
    from ray_async.runtime.node.death.death_explainer import DeathExplainer

__all__ = ("Actors",)

_logger = logging.getLogger("ray_async.node")


class Actors:
    """Creates actors where the scheduler places them, and decides what follows when one dies.

    Args:
        table: the actors.
        views: of the arena.
        dispatch: to the scheduler, which places actors.
        workers: host them.
        failures: ends the calls of dead actors.
        arguments: watches those of constructors.
        environments: what actors are created in.
        survived: reports restarts to drivers.
        cluster: whose other nodes may host actors.
        grace_s: seconds that an actor may take to end when nothing refers to it any more.
        on_detached_end: called with the offset of a detached actor that is dead.
        on_detached_gone: called with the job of a detached actor that nothing refers to any more.
    """

    def __init__(
        self,
        table: ActorTable,
        views: ArenaViews,
        dispatch: Dispatch,
        workers: Workers,
        *,
        failures: RecordFailures,
        arguments: ArgumentWatch,
        environments: Environments,
        survived: SurvivedDeaths,
        cluster: NodeMembership,
        grace_s: float,
        on_detached_end: Callable[[int], None],
        on_detached_gone: Callable[[int], None],
    ) -> None:
        self._table = table
        self._by_offset = table.by_offset
        self._processes = views.processes
        self._records = views.records
        self._objects = views.objects
        self._executor = views.executor
        self._dispatch = dispatch
        self._workers = workers
        self._failures = failures
        self._arguments = arguments
        self._environments = environments
        self._survived = survived
        self._cluster = cluster
        self._grace_s = grace_s
        self._on_detached_end = on_detached_end
        self._on_detached_gone = on_detached_gone
        self._by_id: dict[str, Actor] = {}
        self._pinned: set[int] = set()

    # -- life ----------------------------------------------------------------------------------------------------------

    def submitted(self, offset: int) -> None:
        """A process has written an actor and its creation into the arena."""
        if not self._objects.is_actor(offset) or offset in self._by_offset:
            return
        facts = self._objects.actor(offset)
        try:
            description = ActorDescription.decode(facts[1] or b"")
            actor = Actor(offset, facts, description, self._table.id_at(offset))
        except (TypeError, ValueError, KeyError) as error:
            _logger.error("an actor with a description that cannot be read: %s", error)
            return
        self._by_offset[offset] = actor
        self._environments.learn(description)
        self._objects.pin(offset)  # the node's own, until the actor is dead
        self._pinned.add(offset)
        if description.detached:
            self._objects.pin(offset)
        self._place(actor)

    def _place(self, actor: Actor) -> None:
        actor.scheduler_id = f"{actor.id.hex()}:{actor.restarts}"
        self._by_id[actor.scheduler_id] = actor
        self._dispatch.schedule(events.ActorSubmitted(actor.scheduler_id, actor_spec(actor.description)))
        if actor.worker is None:
            self._cluster.others.offer_soon()

    def waiting_for_room(self) -> list[Actor]:
        """Actors for which the scheduler has no place yet; where it has one, their worker may be about to start."""
        waiting = (ActorState.PENDING, ActorState.RESTARTING)
        has_room = self._dispatch.report.actor_has_room
        return [
            actor
            for identity, actor in self._by_id.items()
            if actor.state in waiting and actor.worker is None and not has_room(identity)
        ]

    def place_elsewhere(self, actor: Actor, worker: WorkerProcess) -> None:
        """A process of another node is to host an actor: the scheduler here has nothing to do with it any more."""
        self._unplace(actor)
        actor.worker = worker
        self._records.claim_creation(actor.creation, worker.slot)
        self._objects.set_actor(actor.offset, actor.state, worker.slot)

    def placed(self, scheduler_id: str, worker: WorkerProcess) -> None:
        """The scheduler has found a worker for an actor: wait for the arguments of ``__init__``, in the worker."""
        actor = self._by_id.get(scheduler_id)
        if actor is None or actor.state == ActorState.DEAD:
            self._workers.kill(worker, DeathCause.ACTOR_ENDED)
            return
        actor.worker = worker
        self._workers.name(worker, actor.description.class_name)
        self._records.claim_creation(actor.creation, worker.slot)
        self._objects.set_actor(actor.offset, actor.state, worker.slot)
        worker.sequence += 1
        self._processes.lease(worker.slot, worker.sequence, actor.offset, True)

    def ready(self, offset: int) -> None:
        """``__init__`` has returned."""
        actor = self._by_offset.get(offset)
        if actor is not None and actor.state in (ActorState.PENDING, ActorState.RESTARTING):
            actor.state = ActorState.ALIVE
            self._objects.set_actor(offset, ActorState.ALIVE, actor.worker.slot if actor.worker else 0)
            if actor.scope_ended:
                self.out_of_scope(offset)

    def init_failed(self, offset: int, error: bytes) -> None:
        """``__init__`` has raised: the actor is dead, without a restart."""
        actor = self._by_offset.get(offset)
        if actor is not None:
            actor.error = error
            actor.ended = DeathCause.INIT_FAILED
            self._end(actor)

    def leaves(self, offset: int, reason: str) -> None:
        """An actor ends itself."""
        actor = self._by_offset.get(offset)
        if actor is not None:
            actor.ended, actor.end_detail = DeathCause.EXIT_ACTOR, reason

    def worker_stopped(self, worker: WorkerProcess, cause: DeathCause) -> None:
        """The scheduler has a worker killed; with its placement group an actor is over for good."""
        if cause is DeathCause.GROUP_REMOVED:
            actor = self._table.hosted_by(worker)
            if actor is not None:
                actor.ended = actor.ended or cause

    def kill(self, offset: int, no_restart: bool) -> None:
        """End an actor's process; with ``no_restart`` the actor too. One that has no process yet loses a restart."""
        self.submitted(offset)  # this may have come before the event of its creation
        actor = self._by_offset.get(offset)
        if actor is None or actor.state == ActorState.DEAD:
            return
        if no_restart:
            self._end_for(actor, DeathCause.KILLED)
        elif actor.worker is not None:
            self._workers.kill(actor.worker, DeathCause.KILLED, "It was killed with no_restart=False.")
        elif isinstance(actor.verdict, Restart):
            self._count_restart(actor)
        else:
            reason = f"{DeathCause.KILLED.value}, and is not restarted because {actor.verdict.reason}"
            actor.stays = actor.verdict
            self._end_for(actor, DeathCause.KILLED, reason)

    def out_of_scope(self, offset: int) -> None:
        """No process refers to the actor any more: it ends after the calls that it has."""
        actor = self._by_offset.get(offset)
        references = 1 if offset in self._pinned else 0
        if actor is None:
            if self._objects.is_actor(offset) and self._objects.actor_references(offset) == 0:
                self._table.release_names(offset)
                self._objects.free_actor(offset)
            return
        if self._objects.actor_references(offset) > references:
            return
        actor.scope_ended = True
        if self._processes.queue_length(actor.queue):
            return
        if actor.state == ActorState.ALIVE and not self._running(actor):
            self._end_for(actor, DeathCause.OUT_OF_SCOPE, gently=True)
        elif actor.state in (ActorState.PENDING, ActorState.RESTARTING):
            self._end_for(actor, DeathCause.OUT_OF_SCOPE, "all references to it were gone before it was created")

    def _running(self, actor: Actor) -> bool:
        """Whether it has calls, that run or wait for arguments outside of its queue."""
        states = (
            self._records.record_state(record)
            for record in self._records.find_records(actor=actor.offset)
            if record != actor.creation
        )
        return any(state in (RecordState.QUEUED, RecordState.RUNNING) for state in states)

    def tick(self) -> None:
        """Look at the actors that end once they have nothing to do."""
        for actor in list(self._by_offset.values()):
            if (
                actor.state != ActorState.DEAD
                and self._objects.actor_references(actor.offset) <= 1
                and not actor.description.detached
            ):
                guarded(self.out_of_scope, actor.offset)

    def worker_died(self, worker: WorkerProcess, death: DeathExplainer) -> bool:
        """Restart or end the actor of a dead worker. Returns whether it had one."""
        actor = self._table.hosted_by(worker)
        if actor is None:
            return False
        actor.worker = None
        if actor.state == ActorState.DEAD:
            self._unplace(actor)
            self._fail_postponed(actor)
            return True
        verdict = actor.verdict
        text = f"actor {actor.description.class_name} ({actor.id.hex()}), pid={worker.pid}, died: {death.summary}"
        _logger.log(logging.INFO if actor.ended is not None else logging.WARNING, "%s; verdict: %s", text, verdict.text)
        if isinstance(verdict, Restart):
            name, identity = actor.description.class_name, actor.id.hex()
            self._survived.actor_restarted(actor.job, name, identity, worker.pid, death.summary, verdict.left)
            self._count_restart(actor)
            self._records.reset_creation(actor.creation)
            self._unplace(actor)
            # Its node may have taken what the constructor needs along: the actor takes no resources until that is back.
            self._arguments.start(PendingArguments(actor.creation, lambda _: self._restart(actor)))
            return True
        if actor.error is None:
            actor.error = errors.to_payload(death.actor_error(actor))
        actor.stays = verdict
        actor.ended = actor.ended or death.cause
        self._end(actor)
        return True

    def _restart(self, actor: Actor) -> None:
        if actor.state == ActorState.RESTARTING:
            self._place(actor)

    def _count_restart(self, actor: Actor) -> None:
        actor.restarts += 1
        actor.state = ActorState.RESTARTING
        self._objects.set_actor(actor.offset, ActorState.RESTARTING)
        self._objects.count_restart(actor.offset)
        self._fail_unretried(actor)

    def owner_died(self, owner: str) -> None:
        """End what a worker had created that crashed, or whose actor has ended; detached actors stay."""
        for actor in list(self._by_offset.values()):
            if actor.description.owner == owner and not actor.description.detached and actor.state != ActorState.DEAD:
                guarded(self._end_for, actor, DeathCause.OWNER_DIED)

    def _end_for(self, actor: Actor, cause: DeathCause, reason: str = "", gently: bool = False) -> None:
        """End an actor for good; ``reason`` says more than the cause."""
        actor.ended = cause
        actor.error = self._death_error(actor, reason or cause.value)
        self._end(actor, gently)

    @staticmethod
    def _death_error(actor: Actor, reason: BaseException | str) -> bytes:
        if isinstance(reason, BaseException):
            return errors.to_payload(reason)
        return errors.to_payload(actor.died(f"The actor is dead because {reason}."))

    def unschedulable(self, scheduler_id: str, reason: str) -> None:
        """The scheduler has given an actor up."""
        actor = self._by_id.get(scheduler_id)
        if actor is not None and self._cluster.others.may_run(actor.description):
            self._cluster.others.offer_soon()
            return
        self._by_id.pop(scheduler_id, None)
        if actor is not None:
            text = f"The actor {actor.description.class_name} cannot be scheduled because {reason}."
            actor.error = errors.to_payload(errors.ActorUnschedulableError(text))
            actor.scheduler_id = ""
            actor.ended = DeathCause.UNSCHEDULABLE
            self._end(actor)

    def cannot_start(self, env_key: str, reason: BaseException | str) -> None:
        """No worker of an environment can be had: end the actors that wait for one.

        Args:
            env_key: of the environment.
            reason: what their callers get, or why the actors are dead.
        """
        for actor in list(self._by_offset.values()):
            if actor.state != ActorState.DEAD and actor.worker is None and actor.description.env_key == env_key:
                actor.error = self._death_error(actor, reason)
                environment = isinstance(reason, errors.RuntimeEnvSetupError)
                actor.ended = DeathCause.ENVIRONMENT_FAILED if environment else DeathCause.CANNOT_START
                guarded(self._end, actor)

    def _end(self, actor: Actor, gently: bool = False) -> None:
        """The actor is dead: its queue fails, its name is free, its worker goes."""
        actor.state = ActorState.DEAD
        self._objects.set_actor(actor.offset, ActorState.DEAD)
        if actor.name:
            self._table.release_name(actor.offset, actor.name, actor.namespace)
        worker = actor.worker
        gently = gently and worker is not None and worker.end_elsewhere is None
        if not gently:  # the scheduler would have the worker killed
            self._unplace(actor)
        if worker is not None:
            if gently:
                self._processes.flag(worker.slot, WorkerFlag.EXIT)
                self._dispatch.later(self._grace_s, lambda: self._workers.kill(worker, DeathCause.ACTOR_ENDED))
            else:
                self._workers.kill(worker, actor.ended or DeathCause.ACTOR_ENDED)
        self._records.finish_creation(actor.creation, self._executor, self.error_of(actor))
        self.drain(actor.offset)
        self._fail_postponed(actor)
        if actor.description.detached:
            self._objects.unpin(actor.offset)
            self._on_detached_end(actor.offset)
        self._dispatch.later(0.05, lambda: self._forget(actor))

    def _unplace(self, actor: Actor) -> None:
        """Report to the scheduler, once, that the actor is over, or that its worker is."""
        if self._by_id.pop(actor.scheduler_id, None) is not None:
            self._dispatch.schedule(events.ActorEnded(actor.scheduler_id))

    def error_of(self, actor: Actor) -> bytes:
        """The stored error for calls of a dead actor."""
        return actor.error or self._death_error(actor, (actor.ended or DeathCause.UNKNOWN).value)

    def drain(self, offset: int) -> None:
        """Fail the calls that were queued at a dead actor, or at one between two lives."""
        actor = self._by_offset.get(offset)
        if actor is None:
            return
        if actor.state == ActorState.RESTARTING and not actor.drains:
            # Many such calls come together; one look over the records serves them all.
            actor.drains = True
            self._dispatch.later(0.001, lambda: self._fail_unretried(actor))
        if actor.state != ActorState.DEAD:
            return
        payload = self._error_of_unbegun(actor)
        self._failures.fail_queue(actor.queue, lambda record, facts: payload)

    def _error_of_unbegun(self, actor: Actor) -> bytes:
        """The stored error for calls of a dead actor that it has not begun."""
        payload = self.error_of(actor)
        if actor.ended is DeathCause.INIT_FAILED:  # others wrote it: it is not unpickled here
            return payload
        error = errors.from_payload(payload)
        if isinstance(error, errors.RayActorError | errors.OutOfMemoryError):
            error.call_began = False
        return errors.to_payload(error)

    def _fail_unretried(self, actor: Actor) -> None:
        """Fail the calls that may not wait for the actor's next life."""
        actor.drains = False
        if actor.state != ActorState.RESTARTING:
            return
        error = errors.ActorUnavailableError("The actor is restarting.", actor.id.binary())
        error.call_began = False
        payload = errors.to_payload(error)
        for record in self._records.find_records(state=RecordState.QUEUED, actor=actor.offset):
            facts = self._executor.facts(record)
            may_wait = facts["retries"] != 0 or facts["attempt"] != 0  # those that are run again have that left
            if not may_wait and self._records.claim(record, queued=True):
                self._failures.fail(record, payload)

    def _fail_postponed(self, actor: Actor) -> None:
        """Fail the calls that the actor's process had set aside until their arguments come."""
        payload = self._error_of_unbegun(actor)
        for record in self._records.find_records(state=RecordState.QUEUED, actor=actor.offset):
            if self._records.claim(record, queued=True):
                self._failures.fail(record, payload)

    def _forget(self, actor: Actor) -> None:
        """Forget a dead actor once nobody refers to it; until then its calls must find it dead."""
        self.drain(actor.offset)
        if actor.worker is not None or self._objects.actor_references(actor.offset) > 1:
            self._dispatch.later(0.5, lambda: self._forget(actor))
            return
        self._table.forget(actor)
        self._environments.release(actor.description)
        self._pinned.discard(actor.offset)
        self._objects.unpin(actor.offset)  # the last one: the event of it frees the actor
        if actor.description.detached:
            self._on_detached_gone(actor.description.job)

    def job_ended(self, job: int) -> None:
        """End the actors of a job whose driver is gone, except the detached ones."""
        for actor in list(self._by_offset.values()):
            if actor.job == job and not actor.description.detached and actor.state != ActorState.DEAD:
                guarded(self._end_for, actor, DeathCause.JOB_ENDED)
