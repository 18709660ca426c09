"""A grant: resources given to one worker for a class or an actor, or waiting for a worker to start."""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING

from ray_async.runtime.scheduler.pool import AcceleratorIds, Allocation

if TYPE_CHECKING:
    from ray_async.runtime.scheduler.demands import ActorRecord, ClassDemandState

__all__ = ("Activity", "Grant", "Revocation")


class Activity(Enum):
    """What is known of a leased worker."""

    FRESH = "fresh"
    BUSY = "busy"
    IDLE = "idle"


class Revocation(Enum):
    """Whether the lease was asked back, and how."""

    NONE = "none"
    IF_IDLE = "if idle"
    AFTER_TASK = "after its task"


class Grant:
    """Resources in the hands of one class or actor. `slot` is None while the worker has yet to start."""

    __slots__ = ("activity", "allocation", "blocked", "granted_at", "owner", "revocation", "slot")

    def __init__(self, owner: ClassDemandState | ActorRecord, allocation: Allocation, now: float) -> None:
        self.owner = owner
        self.allocation = allocation
        self.granted_at = now
        self.slot: int | None = None
        self.activity = Activity.FRESH
        self.revocation = Revocation.NONE
        self.blocked = False

    @property
    def worker_key(self) -> tuple[str, AcceleratorIds]:
        """Environment and devices that a used worker must have to serve the grant."""
        return self.owner.spec.env_key, self.allocation.accelerator_ids

    @property
    def expected(self) -> bool:
        """Whether the lease is expected to take from its class's queue."""
        return self.activity is not Activity.BUSY and self.revocation is Revocation.NONE
