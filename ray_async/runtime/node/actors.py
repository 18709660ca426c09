"""The node's table of actors: placing, naming, restarting, ending them."""

from __future__ import annotations

import logging
from collections import deque
from typing import TYPE_CHECKING, Any

from ray_async import exceptions as errors
from ray_async._core.constants import ActorState, RecordState, WorkerFlag
from ray_async.config import ACTOR_GRACEFUL_SHUTDOWN_MS
from ray_async.ids import ActorID, JobID
from ray_async.runtime.node.death.evidence import DeathCause
from ray_async.runtime.node.guard import guarded
from ray_async.runtime.node.pending_arguments import PendingArguments
from ray_async.runtime.node.requirements import actor_spec
from ray_async.runtime.node.restart import Restart, Stay, restart_verdict
from ray_async.runtime.scheduler import events
from ray_async.spec.actor_description import ActorDescription

if TYPE_CHECKING:
    from ray_async.runtime.node.death.death_explainer import DeathExplainer
    from ray_async.runtime.node.node import Node
    from ray_async.runtime.node.workers import WorkerProcess

__all__ = ("Actor", "Actors", "died")

_logger = logging.getLogger("ray_async.node")

#: State, description, queue, creation, job, restarts, slot of an actor in the arena.
_Facts = tuple[int, bytes | None, int, int, int, int, int]

_STATE_NAMES = {
    ActorState.PENDING: "PENDING_CREATION",
    ActorState.ALIVE: "ALIVE",
    ActorState.RESTARTING: "RESTARTING",
    ActorState.DEAD: "DEAD",
}
_MAX_PAST_ACTORS = 1000  # dead actors, for listings


class Actor:
    """An actor as the node knows it. It is called by its offset in the arena."""

    __slots__ = (
        "creation",
        "description",
        "drains",
        "end_detail",
        "ended",
        "error",
        "id",
        "job",
        "name",
        "namespace",
        "offset",
        "queue",
        "restarts",
        "scheduler_id",
        "scope_ended",
        "state",
        "stays",
        "worker",
    )

    def __init__(self, offset: int, facts: _Facts, description: ActorDescription, identity: bytes) -> None:
        _, _, self.queue, self.creation, self.job, _, _ = facts
        self.offset = offset
        self.description = description
        self.id = ActorID(identity)
        self.name = description.name
        self.namespace = description.namespace
        self.state = ActorState.PENDING
        self.worker: WorkerProcess | None = None
        self.restarts = 0
        self.scheduler_id = ""
        self.error: bytes | None = None
        #: Why the actor is over, whatever its process does; None while it is not.
        self.ended: DeathCause | None = None
        self.end_detail = ""
        self.stays: Stay | None = None  # the verdict at its death
        self.scope_ended = False
        self.drains = False

    @property
    def is_alive(self) -> bool:
        """True once ``__init__`` has returned, while the actor goes on."""
        return self.state == ActorState.ALIVE

    @property
    def verdict(self) -> Restart | Stay:
        """Verdict on the actor if its process died now; of a dead one, the verdict at its death."""
        return self.stays or restart_verdict(self.ended, self.description.max_restarts, self.restarts)


class Actors:
    """Creates actors where the scheduler places them, and decides what follows when one dies.

    Args:
        node: the process's parts.
    """

    def __init__(self, node: Node) -> None:
        self._node = node
        self._view = node.view
        self._records = node.records
        self._objects = node.objects
        self.by_offset: dict[int, Actor] = {}
        self._by_id: dict[str, Actor] = {}
        self._names: dict[tuple[str, str], tuple[int, str]] = {}
        self._pinned: set[int] = set()
        self._past: deque[dict[str, Any]] = deque(maxlen=_MAX_PAST_ACTORS)

    # -- names ---------------------------------------------------------------------------------------------------------

    def take_name(self, offset: int, name: str, namespace: str, meta: str) -> bool:
        """Reserve a name for an actor that is being created. Returns False when it is taken."""
        holder, _ = self._names.get((namespace, name), (0, ""))
        if holder and not self._is_given_up(holder):
            return False
        self._names[namespace, name] = (offset, meta)
        return True

    def _is_given_up(self, offset: int) -> bool:
        """Whether an actor will never be created: its creator has died, or failed, once it had the name."""
        if offset in self.by_offset:
            return False
        return not self._objects.is_actor(offset) or self._objects.actor_references(offset) == 0

    def release_name(self, offset: int, name: str, namespace: str) -> None:
        """Free a name, if it is this actor's."""
        if self._names.get((namespace, name), (0, ""))[0] == offset:
            del self._names[namespace, name]
            if self._node.cluster is not None:
                self._node.cluster.names.freed(offset, name, namespace)

    def _release_names(self, offset: int) -> None:
        for namespace, name in [key for key, (holder, _) in self._names.items() if holder == offset]:
            self.release_name(offset, name, namespace)

    def find(self, name: str, namespace: str) -> tuple[int, str] | None:
        """Offset and description of a named actor."""
        found = self._names.get((namespace, name))
        if found is None or not self._objects.is_actor(found[0]):
            return None
        return found

    def named(self, namespace: str | None) -> list[dict[str, str]]:
        """Named actors of a namespace, or of all."""
        return [
            {"name": name, "namespace": space}
            for (space, name) in self._names
            if namespace is None or space == namespace
        ]

    # -- life ----------------------------------------------------------------------------------------------------------

    def submitted(self, offset: int) -> None:
        """A process has written an actor and its creation into the arena."""
        if not self._objects.is_actor(offset) or offset in self.by_offset:
            return
        facts = self._objects.actor(offset)
        try:
            description = ActorDescription.decode(facts[1] or b"")
            actor = Actor(offset, facts, description, self._node.actor_id(offset))
        except (TypeError, ValueError, KeyError) as error:
            _logger.error("an actor with a description that cannot be read: %s", error)
            return
        self.by_offset[offset] = actor
        self._node.environments.learn(description)
        self._objects.pin(offset)  # the node's own, until the actor is dead
        self._pinned.add(offset)
        if description.detached:
            self._objects.pin(offset)
        self._place(actor)

    def _place(self, actor: Actor) -> None:
        actor.scheduler_id = f"{actor.id.hex()}:{actor.restarts}"
        self._by_id[actor.scheduler_id] = actor
        self._node.schedule(events.ActorSubmitted(actor.scheduler_id, actor_spec(actor.description)))
        if actor.worker is None and self._node.cluster is not None:
            self._node.cluster.offer_soon()

    def waiting_for_room(self) -> list[Actor]:
        """Actors for which the scheduler has no place yet; where it has one, their worker may be about to start."""
        waiting = (ActorState.PENDING, ActorState.RESTARTING)
        has_room = self._node.scheduler.report.actor_has_room
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
            self._node.workers.kill(worker, DeathCause.ACTOR_ENDED)
            return
        actor.worker = worker
        self._node.workers.name(worker, actor.description.class_name)
        self._records.claim_creation(actor.creation, worker.slot)
        self._objects.set_actor(actor.offset, actor.state, worker.slot)
        worker.sequence += 1
        self._view.lease(worker.slot, worker.sequence, actor.offset, True)

    def ready(self, offset: int) -> None:
        """``__init__`` has returned."""
        actor = self.by_offset.get(offset)
        if actor is not None and actor.state in (ActorState.PENDING, ActorState.RESTARTING):
            actor.state = ActorState.ALIVE
            self._objects.set_actor(offset, ActorState.ALIVE, actor.worker.slot if actor.worker else 0)
            if actor.scope_ended:
                self.out_of_scope(offset)

    def init_failed(self, offset: int, error: bytes) -> None:
        """``__init__`` has raised: the actor is dead, without a restart."""
        actor = self.by_offset.get(offset)
        if actor is not None:
            actor.error = error
            actor.ended = DeathCause.INIT_FAILED
            self._end(actor)

    def leaves(self, offset: int, reason: str) -> None:
        """An actor ends itself."""
        actor = self.by_offset.get(offset)
        if actor is not None:
            actor.ended, actor.end_detail = DeathCause.EXIT_ACTOR, reason

    def worker_stopped(self, worker: WorkerProcess, cause: DeathCause) -> None:
        """The scheduler has a worker killed; with its placement group an actor is over for good."""
        if cause is DeathCause.GROUP_REMOVED:
            actor = self.hosted_by(worker)
            if actor is not None:
                actor.ended = actor.ended or cause

    def hosted_by(self, worker: WorkerProcess) -> Actor | None:
        """The actor whose process a worker is."""
        return next((actor for actor in self.by_offset.values() if actor.worker is worker), None)

    def kill(self, offset: int, no_restart: bool) -> None:
        """End an actor's process; with ``no_restart`` the actor too. One that has no process yet loses a restart."""
        self.submitted(offset)  # this may have come before the word of its creation
        actor = self.by_offset.get(offset)
        if actor is None or actor.state == ActorState.DEAD:
            return
        if no_restart:
            self._end_for(actor, DeathCause.KILLED)
        elif actor.worker is not None:
            self._node.workers.kill(actor.worker, DeathCause.KILLED, "It was killed with no_restart=False.")
        elif isinstance(actor.verdict, Restart):
            self._count_restart(actor)
        else:
            reason = f"{DeathCause.KILLED.value}, and is not restarted because {actor.verdict.reason}"
            actor.stays = actor.verdict
            self._end_for(actor, DeathCause.KILLED, reason)

    def out_of_scope(self, offset: int) -> None:
        """No process refers to the actor any more: it ends after the calls that it has."""
        actor = self.by_offset.get(offset)
        references = 1 if offset in self._pinned else 0
        if actor is None:
            if self._objects.is_actor(offset) and self._objects.actor_references(offset) == 0:
                self._release_names(offset)
                self._objects.free_actor(offset)
            return
        if self._objects.actor_references(offset) > references:
            return
        actor.scope_ended = True
        if actor.state == ActorState.ALIVE and self._view.queue_length(actor.queue) == 0 and not self._running(actor):
            self._end_for(actor, DeathCause.OUT_OF_SCOPE, gently=True)
        elif actor.state in (ActorState.PENDING, ActorState.RESTARTING) and self._view.queue_length(actor.queue) == 0:
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
        for actor in list(self.by_offset.values()):
            if (
                actor.state != ActorState.DEAD
                and self._objects.actor_references(actor.offset) <= 1
                and not actor.description.detached
            ):
                guarded(self.out_of_scope, actor.offset)

    def may_restart(self, offset: int) -> bool:
        """Whether calls of a dying actor may be kept for its next life."""
        actor = self.by_offset.get(offset)
        return actor is not None and actor.state != ActorState.DEAD and isinstance(actor.verdict, Restart)

    def worker_died(self, worker: WorkerProcess, death: DeathExplainer) -> bool:
        """Restart or end the actor of a dead worker. Returns whether it had one."""
        actor = self.hosted_by(worker)
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
            self._node.survived.actor_restarted(actor.job, name, identity, worker.pid, death.summary, verdict.left)
            self._count_restart(actor)
            self._records.reset_creation(actor.creation)
            self._unplace(actor)
            # Its node may have taken what the constructor needs along: the actor takes no resources until that is back.
            PendingArguments(actor.creation, lambda _: self._restart(actor)).start(self._node)
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
        for actor in list(self.by_offset.values()):
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
        return errors.to_payload(died(actor, f"The actor is dead because {reason}."))

    def unschedulable(self, scheduler_id: str, reason: str) -> None:
        """The scheduler has given an actor up."""
        actor = self._by_id.get(scheduler_id)
        if actor is not None and self._node.cluster is not None and self._node.cluster.may_run(actor.description):
            self._node.cluster.offer_soon()
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
        for actor in list(self.by_offset.values()):
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
            self.release_name(actor.offset, actor.name, actor.namespace)
        worker = actor.worker
        gently = gently and worker is not None and worker.end_elsewhere is None
        if not gently:  # the scheduler would have the worker killed
            self._unplace(actor)
        if worker is not None:
            if gently:
                self._view.flag(worker.slot, WorkerFlag.EXIT)
                grace = self._node.settings.get(ACTOR_GRACEFUL_SHUTDOWN_MS) / 1000
                self._node.later(grace, lambda: self._node.workers.kill(worker, DeathCause.ACTOR_ENDED))
            else:
                self._node.workers.kill(worker, actor.ended or DeathCause.ACTOR_ENDED)
        self._records.finish_creation(actor.creation, self._node.executor, self.error_of(actor))
        self.drain(actor.offset)
        self._fail_postponed(actor)
        if actor.description.detached:
            self._objects.unpin(actor.offset)
            self._node.groups.actor_ended(actor.offset)
        self._node.later(0.05, lambda: self._forget(actor))

    def _unplace(self, actor: Actor) -> None:
        """Tell the scheduler, once, that the actor is over, or that its worker is."""
        if self._by_id.pop(actor.scheduler_id, None) is not None:
            self._node.schedule(events.ActorEnded(actor.scheduler_id))

    def error_of(self, actor: Actor) -> bytes:
        """The stored error for calls of a dead actor."""
        return actor.error or self._death_error(actor, (actor.ended or DeathCause.UNKNOWN).value)

    def drain(self, offset: int) -> None:
        """Fail the calls that were queued at a dead actor, or at one between two lives."""
        actor = self.by_offset.get(offset)
        if actor is None:
            return
        if actor.state == ActorState.RESTARTING and not actor.drains:
            # Many such calls come together; one look over the records serves them all.
            actor.drains = True
            self._node.later(0.001, lambda: self._fail_unretried(actor))
        if actor.state != ActorState.DEAD:
            return
        payload = self._error_of_unbegun(actor)
        self._node.tasks.fail_queue(actor.queue, lambda record, facts: payload)

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
            facts = self._node.executor.facts(record)
            may_wait = facts["retries"] != 0 or facts["attempt"] != 0  # those that are run again have that left
            if not may_wait and self._records.claim(record, queued=True):
                self._node.tasks.fail(record, payload)

    def _fail_postponed(self, actor: Actor) -> None:
        """Fail the calls that the actor's process had set aside until their arguments come."""
        payload = self._error_of_unbegun(actor)
        for record in self._records.find_records(state=RecordState.QUEUED, actor=actor.offset):
            if self._records.claim(record, queued=True):
                self._node.tasks.fail(record, payload)

    def _forget(self, actor: Actor) -> None:
        """Forget a dead actor once nobody refers to it; until then its calls must find it dead."""
        self.drain(actor.offset)
        if actor.worker is not None or self._objects.actor_references(actor.offset) > 1:
            self._node.later(0.5, lambda: self._forget(actor))
            return
        del self.by_offset[actor.offset]
        self._node.environments.release(actor.description)
        self._past.append(self._row(actor))
        self._pinned.discard(actor.offset)
        self._objects.unpin(actor.offset)  # the last one: the event of it frees the actor
        if actor.description.detached:
            self._node.drivers.end_job(actor.description.job)

    def detached_actor_of(self, slot: int | None) -> int:
        """The detached actor that the worker in a slot runs; 0 for none.

        Raises:
            ValueError: that actor has ended, and its process is about to.
        """
        for actor in self.by_offset.values():
            if actor.worker is not None and actor.worker.slot == slot and actor.description.detached:
                if actor.state == ActorState.DEAD:
                    raise ValueError("the actor that asks for this has ended")
                return actor.offset
        return 0

    def job_ended(self, job: int) -> None:
        """End the actors of a job whose driver is gone, except the detached ones."""
        for actor in list(self.by_offset.values()):
            if actor.job == job and not actor.description.detached and actor.state != ActorState.DEAD:
                guarded(self._end_for, actor, DeathCause.JOB_ENDED)

    def rows(self) -> list[dict[str, Any]]:
        """A description of each actor, for listings; of dead ones, as many as are remembered."""
        return [*(self._row(actor) for actor in self.by_offset.values()), *self._past]

    def _row(self, actor: Actor) -> dict[str, Any]:
        return {
            "actor_id": actor.id.hex(),
            "class_name": actor.description.class_name,
            "state": _STATE_NAMES[actor.state],
            "name": actor.name,
            "ray_namespace": actor.namespace,
            "job_id": JobID.from_int(actor.job).hex(),
            "node_id": actor.worker.node_id if actor.worker else None,
            "pid": actor.worker.pid if actor.worker else 0,
            "num_restarts": actor.restarts,
            "restart_verdict": actor.verdict.text,
            "is_detached": actor.description.detached,
            "placement_group_id": actor.description.place.group,
            "required_resources": actor.description.place.resources,
            "repr_name": "",
            "labels": dict(actor.description.own_labels),
            "death_cause": self._words_of(actor) if actor.state == ActorState.DEAD else None,
        }

    @staticmethod
    def _words_of(actor: Actor) -> str:
        if actor.error is not None:
            return str(errors.from_payload(actor.error))
        return actor.ended.value if actor.ended is not None else ""


def died(actor: Actor, text: str) -> errors.ActorDiedError:
    """The error for callers of a dead actor."""
    context = errors.ActorDiedErrorContext(
        actor.id.hex(), text, class_name=actor.description.class_name, name=actor.name, ray_namespace=actor.namespace
    )
    return errors.ActorDiedError(context)
