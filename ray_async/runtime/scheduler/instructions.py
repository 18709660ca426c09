"""Instructions of the scheduler. The driver carries instructions out in the order of the list."""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum

from ray_async.frozen import Record
from ray_async.runtime.scheduler.pool import AcceleratorIds
from ray_async.runtime.scheduler.resources import ResourceSet

__all__ = (
    "ActorUnschedulable",
    "ClassUnschedulable",
    "Instruction",
    "KillForPlacementGroup",
    "Lease",
    "PlaceActor",
    "PlacementGroupReady",
    "PlacementGroupRescheduling",
    "Revoke",
    "StartWorker",
    "StopReason",
    "StopWorker",
    "WarnInfeasible",
    "WorkerLimitReached",
)


class StopReason(Enum):
    """Why a worker without work is stopped."""

    IDLE = "idle"
    OTHER_ENVIRONMENT = "room for another environment or device set"
    NODE_REMOVED = "node removed"
    ACTOR_ENDED = "actor ended"


class StartWorker(Record):
    """Start `count` workers; each answers with WorkerStarted or is counted in WorkerStartFailed."""

    node_id: str
    env_key: str
    count: int


class Lease(Record):
    """Let the worker pull from the class's queue.

    Args:
        slot: the worker.
        class_id: whose queue it pulls from now.
        node_id: node of the worker.
        resources: what the lease holds.
        accelerator_ids: devices by resource name, such as `(("GPU", (0, 1)),)`. A worker keeps them for life.
        max_tasks: return the lease after so many tasks; 0 for no limit (1 for classes that spread).
        placement_group: id of the group and the bundle's index, or None.
    """

    slot: int
    class_id: int
    node_id: str
    resources: ResourceSet
    accelerator_ids: AcceleratorIds = ()
    max_tasks: int = 0
    placement_group: tuple[str, int] | None = None


class Revoke(Record):
    """Ask for a lease back; LeaseReturned answers.

    Args:
        slot: the worker.
        urgent: True: take it when it is idle, else flag it so that it returns after its current task.
            False: take it only if it is idle; if it is not, answer LeaseBusy and let it go on.
    """

    slot: int
    urgent: bool


class StopWorker(Record):
    """End a worker that has no lease (or whose node or actor is gone); WorkerDied follows."""

    slot: int
    reason: StopReason


class PlaceActor(Record):
    """Create the actor in this worker, which is its own from now on."""

    actor_id: str
    slot: int
    node_id: str
    resources: ResourceSet
    accelerator_ids: AcceleratorIds = ()
    placement_group: tuple[str, int] | None = None


class ActorUnschedulable(Record):
    """The actor can never be placed as asked; the scheduler has forgotten it. `reason` completes "because ..."."""

    actor_id: str
    reason: str


class ClassUnschedulable(Record):
    """Tasks queued for the class can never run as asked; fail them. `reason` completes "because ..."."""

    class_id: int
    reason: str


class WarnInfeasible(Record):
    """No node has, in total, what is asked for; it waits for one that does. Reported once until that changes.

    Args:
        what: "class", "actor" or "placement group".
        id: id of it (of the first actor that waits, if many are alike).
        message: for the user.
    """

    what: str
    id: int | str
    message: str


class WorkerLimitReached(Record):
    """A node may not start more workers; reported once until it may again.

    Args:
        node_id: the node.
        limit: its limit of workers (those of actors apart).
        blocked: how many of them wait for other tasks.
        message: for the user.
    """

    node_id: str
    limit: int
    blocked: int
    message: str


class PlacementGroupReady(Record):
    """All bundles are reserved; `bundle_nodes` says where, by bundle index."""

    pg_id: str
    bundle_nodes: Mapping[int, str]


class PlacementGroupRescheduling(Record):
    """A node is gone; these bundles are reserved anew. PlacementGroupReady follows when they are."""

    pg_id: str
    lost_bundles: tuple[int, ...]


class KillForPlacementGroup(Record):
    """Kill the worker: the placement group that its task or actor runs in was removed."""

    slot: int
    pg_id: str


Instruction = (
    StartWorker
    | Lease
    | Revoke
    | StopWorker
    | PlaceActor
    | ActorUnschedulable
    | ClassUnschedulable
    | WarnInfeasible
    | WorkerLimitReached
    | PlacementGroupReady
    | PlacementGroupRescheduling
    | KillForPlacementGroup
)
