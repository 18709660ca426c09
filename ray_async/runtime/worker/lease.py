"""Leases of a worker: what it is to become for a class of tasks or an actor, and the devices that it got for that."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ray_async._core import submission
from ray_async.spec.class_description import ClassDescription

if TYPE_CHECKING:
    from ray_async._core.arena import Arena
    from ray_async.spec.actor_description import ActorDescription
    from ray_async.spec.placement import Placement

__all__ = ("ClassLeases", "WorkerLease")

_MAX_KEPT_CLASSES = 64  # classes end: a worker that serves one after the other is not to remember them all


class WorkerLease:
    """What a worker serves.

    Args:
        description: of the class of tasks, or of the actor.

    Attributes:
        accelerators: names of devices by resource; None until the node was asked for them.
    """

    __slots__ = ("accelerators", "description")

    def __init__(self, description: ClassDescription | ActorDescription) -> None:
        self.description = description
        self.accelerators: dict[str, list[str]] | None = None

    @property
    def place(self) -> Placement:
        """What is held, and where."""
        return self.description.place

    @property
    def actor(self) -> ActorDescription | None:
        """The actor, if it is one."""
        return None if isinstance(self.description, ClassDescription) else self.description


class ClassLeases:
    """Leases of the classes that a worker serves: each description is read once.

    Args:
        arena: the session's shared memory, joined.
    """

    def __init__(self, arena: Arena) -> None:
        self._arena = arena
        self._read: dict[int, WorkerLease] = {}  # by the number of the description

    def of(self, class_id: int) -> WorkerLease:
        """The lease of a class that is served at the moment."""
        number = submission.class_seq(self._arena, class_id)
        lease = self._read.get(number)
        if lease is None:
            if len(self._read) >= _MAX_KEPT_CLASSES:
                del self._read[next(iter(self._read))]
            data = submission.read_class_spec(self._arena, class_id)
            lease = self._read[number] = WorkerLease(ClassDescription.decode(data))
        return lease
