"""The table of actors: what the node knows of each, by its offset, its name and its worker."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from ray_async import exceptions as errors
from ray_async._core import submission
from ray_async._core.arena import Arena
from ray_async._core.constants import ActorState
from ray_async._core.object_view import ObjectView
from ray_async.ids import ActorID, JobID
from ray_async.runtime.node.restart import Restart, Stay, restart_verdict
from ray_async.spec.actor_description import ActorDescription

if TYPE_CHECKING:
    from ray_async.runtime.node.death.evidence import DeathCause
    from ray_async.runtime.node.workers import WorkerProcess

__all__ = ("Actor", "ActorTable")

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

    def died(self, text: str) -> errors.ActorDiedError:
        """The error for callers of the dead actor."""
        context = errors.ActorDiedErrorContext(
            self.id.hex(), text, class_name=self.description.class_name, name=self.name, ray_namespace=self.namespace
        )
        return errors.ActorDiedError(context)


class ActorTable:
    """Actors by offset and by name, and rows of them; dead ones until nobody refers to them.

    Args:
        arena: where actors are written.
        objects: view of them.
        on_name_freed: called with the offset, the name and the namespace of an actor that has lost its name.
    """

    def __init__(self, arena: Arena, objects: ObjectView, on_name_freed: Callable[[int, str, str], None]) -> None:
        self._arena = arena
        self._objects = objects
        self._on_name_freed = on_name_freed
        self.by_offset: dict[int, Actor] = {}
        self._names: dict[tuple[str, str], tuple[int, str]] = {}
        self._past: deque[dict[str, Any]] = deque(maxlen=_MAX_PAST_ACTORS)

    def forget(self, actor: Actor) -> None:
        """Keep a row of a dead actor, and no more."""
        del self.by_offset[actor.offset]
        self._past.append(_row(actor))

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
            self._on_name_freed(offset, name, namespace)

    def release_names(self, offset: int) -> None:
        """Free the names of an actor that will not be created."""
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

    # -- who is who ----------------------------------------------------------------------------------------------------

    def id_at(self, offset: int) -> bytes:
        """Id of the actor at an offset of the arena, which the table may not have yet."""
        return submission.actor_at_offset(self._arena, offset).actor_id

    def hosted_by(self, worker: WorkerProcess) -> Actor | None:
        """The actor whose process a worker is."""
        return next((actor for actor in self.by_offset.values() if actor.worker is worker), None)

    def may_restart(self, offset: int) -> bool:
        """Whether calls of a dying actor may be kept for its next life."""
        actor = self.by_offset.get(offset)
        return actor is not None and actor.state != ActorState.DEAD and isinstance(actor.verdict, Restart)

    def has_detached(self, job: int) -> bool:
        """Whether a detached actor of a job is known, so that the job goes on without its driver."""
        # One of another node is made by the agent, and is of that node's job.
        actors = (actor for actor in self.by_offset.values() if actor.description.detached)
        return any(job in (actor.job, actor.description.job) for actor in actors)

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

    # -- rows ----------------------------------------------------------------------------------------------------------

    def rows(self) -> list[dict[str, Any]]:
        """A description of each actor, for listings; of dead ones, as many as are remembered."""
        return [*(_row(actor) for actor in self.by_offset.values()), *self._past]


def _row(actor: Actor) -> dict[str, Any]:
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
        "death_cause": _death_text(actor) if actor.state == ActorState.DEAD else None,
    }


def _death_text(actor: Actor) -> str:
    if actor.error is not None:
        return str(errors.from_payload(actor.error))
    return actor.ended.value if actor.ended is not None else ""
