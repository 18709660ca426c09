"""Demands for resources: classes with queued tasks, queues of like actors, placement groups."""

from __future__ import annotations

from ray_async.runtime.scheduler.grants import Activity, Grant
from ray_async.runtime.scheduler.policy.strategies import Tiers, Unschedulable
from ray_async.runtime.scheduler.pool import ResourcePool
from ray_async.runtime.scheduler.specs import ActorSpec, ClassSpec

__all__ = ("ActorQueue", "ActorRecord", "ClassDemandState", "Demand")


class Demand:
    """One who waits. Compared by identity."""

    __slots__ = (
        "held_pools",
        "hold_length",
        "hold_not_before",
        "hold_until",
        "tiers",
        "tiers_version",
        "waiting_since",
        "warned",
    )

    def __init__(self) -> None:
        self.waiting_since: float | None = None
        self.warned = False
        self.tiers: Tiers | Unschedulable | None = None
        self.tiers_version = -1
        self.held_pools: list[ResourcePool] = []
        self.hold_until = 0.0
        self.hold_not_before = 0.0
        self.hold_length = 0.0

    @property
    def wants_more(self) -> bool:
        """Whether it waits for something."""
        raise NotImplementedError

    def drop_hold(self) -> None:
        """Let others have what was held back for it."""
        for pool in self.held_pools:
            pool.holds.pop(self, None)
        self.held_pools = []


class ClassDemandState(Demand):
    """A scheduling class: queue length, leases, and grants that wait for a worker."""

    __slots__ = ("class_id", "expected", "fresh", "leases", "pending", "queued", "removed", "spec")

    def __init__(self, class_id: int, spec: ClassSpec) -> None:
        super().__init__()
        self.class_id = class_id
        self.spec = spec
        self.queued = 0
        self.removed = False
        self.leases: dict[int, Grant] = {}
        self.pending: dict[Grant, None] = {}
        #: Leases that are expected to take from the queue.
        self.expected: dict[Grant, None] = {}
        self.fresh: dict[Grant, None] = {}

    @property
    def wanted(self) -> int:
        """Leases missing (or, negative, more than needed) for the queue's length."""
        per_worker = self.spec.tasks_per_worker
        return -(-self.queued // per_worker) - len(self.expected) - len(self.pending)

    @property
    def wants_more(self) -> bool:
        """Whether queued tasks have no lease that is expected to take them."""
        return self.wanted > 0

    def note(self, grant: Grant) -> None:
        """File a lease after a change of its activity or revocation."""
        if grant.expected:
            self.expected[grant] = None
        else:
            self.expected.pop(grant, None)
        if grant.activity is Activity.FRESH:
            self.fresh[grant] = None
        else:
            self.fresh.pop(grant, None)

    def forget(self, grant: Grant) -> None:
        """Remove a lease or a pending grant."""
        if grant.slot is not None:
            self.leases.pop(grant.slot, None)
        for shelf in (self.pending, self.expected, self.fresh):
            shelf.pop(grant, None)


class ActorRecord:
    """One actor, known until it has ended. Without a grant and a queue it has lost its worker."""

    __slots__ = ("actor_id", "grant", "queue", "spec")

    def __init__(self, actor_id: str, spec: ActorSpec) -> None:
        self.actor_id = actor_id
        self.spec = spec
        self.grant: Grant | None = None
        self.queue: ActorQueue | None = None


class ActorQueue(Demand):
    """Actors with the same needs, first come first served. One try shows for all whether there is room."""

    __slots__ = ("actors", "spec")

    def __init__(self, spec: ActorSpec) -> None:
        super().__init__()
        self.spec = spec
        self.actors: dict[str, ActorRecord] = {}

    @property
    def wants_more(self) -> bool:
        """Whether any of them waits."""
        return bool(self.actors)

    @property
    def first(self) -> ActorRecord:
        """The actor that waits longest."""
        return next(iter(self.actors.values()))
