"""Events of the scheduler, which its driver sends, each with the current time (seconds, monotonic)."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from ray_async.frozen import Record
from ray_async.runtime.scheduler.labels import LabelSelector
from ray_async.runtime.scheduler.placement_groups import GroupStrategy
from ray_async.runtime.scheduler.resources import ResourceSet
from ray_async.runtime.scheduler.specs import ActorSpec, ClassSpec

__all__ = (
    "ActorEnded",
    "ActorSubmitted",
    "BundlesElsewhere",
    "ClassAdded",
    "ClassDemand",
    "ClassRemoved",
    "Event",
    "LeaseBusy",
    "LeaseIdle",
    "LeaseReturned",
    "NodeAdded",
    "NodeRemoved",
    "PlacementGroupCreated",
    "PlacementGroupRemoved",
    "Tick",
    "WorkerBlocked",
    "WorkerDied",
    "WorkerStartFailed",
    "WorkerStarted",
    "WorkerUnblocked",
)


class NodeAdded(Record):
    """A logical node is there. The first one is the head.

    Args:
        node_id: unique among nodes, also past ones.
        resources: totals, for example `{"CPU": 8, "GPU": 1, "memory": 2**34, "node:10.0.0.1": 1}`.
        labels: label key to value; the scheduler adds `ray.io/node-id`.
    """

    node_id: str
    resources: Mapping[str, float]
    labels: Mapping[str, str] = MappingProxyType({})


class NodeRemoved(Record):
    """A node is gone. The scheduler asks to stop its workers; each still ends with WorkerDied."""

    node_id: str


class ClassAdded(Record):
    """A scheduling class exists from now on, without demand."""

    class_id: int
    spec: ClassSpec


class ClassRemoved(Record):
    """A scheduling class will have no tasks any more; its leases are asked back."""

    class_id: int


class ClassDemand(Record):
    """The class's queue has this length now (0 too).

    Send LeaseBusy and LeaseIdle for leases of the class that changed first: each lease that is idle, or new and not
    yet reported busy, is expected to take from this queue. A number too large costs a lease that returns at once; one
    too small delays tasks until the next ClassDemand.
    """

    class_id: int
    queued: int


class WorkerStarted(Record):
    """A worker that StartWorker asked for (or that was adopted) is ready, without a lease.

    One that was `used` may have run tasks already, all of them without devices, and keeps to such.
    """

    slot: int
    node_id: str
    env_key: str = ""
    used: bool = False


class WorkerStartFailed(Record):
    """`count` of the workers that StartWorker asked for will not come. The scheduler asks again if still needed."""

    node_id: str
    env_key: str = ""
    count: int = 1


class WorkerDied(Record):
    """A worker's process has ended, for whatever reason; its slot may be used again. Unknown slots are ignored."""

    slot: int


class LeaseReturned(Record):
    """A worker has parked itself: after a Revoke, after `max_tasks`, or because its class's queue is empty.

    Without a Revoke (and without `max_tasks`) the class's queue is taken to be empty until the next ClassDemand.
    """

    slot: int


class LeaseIdle(Record):
    """A leased worker runs nothing and waits for its class's queue. A hint."""

    slot: int


class LeaseBusy(Record):
    """A leased worker runs a task. A hint, and the refusal of a Revoke that is not urgent."""

    slot: int


class WorkerBlocked(Record):
    """The worker's task or actor waits for other tasks: its CPU (not its GPU) goes to others."""

    slot: int


class WorkerUnblocked(Record):
    """The blocked worker goes on and has its CPU again, even if that is more than the node has for a while."""

    slot: int


class ActorSubmitted(Record):
    """An actor is to be placed. The scheduler knows it until ActorEnded; each of its lives has an id of its own."""

    actor_id: str
    spec: ActorSpec


class ActorEnded(Record):
    """The actor is over: waiting, placed, or already without a worker. A worker it still has is to be stopped."""

    actor_id: str


class PlacementGroupCreated(Record):
    """Bundles are to be reserved, all or none.

    Args:
        pg_id: unique id, as it shall appear in names such as `CPU_group_0_<pg_id>`.
        bundles: what each bundle holds.
        strategy: how bundles relate to nodes.
        selectors: a label selector for each bundle, or nothing.
        soft_target_node_id: STRICT_PACK only: prefer this node.
        name: shown in the table.
        elsewhere: nodes of other machines, by bundle, for those bundles that lie there.
        waits: nothing is reserved before a `BundlesElsewhere` has come.
    """

    pg_id: str
    bundles: tuple[ResourceSet, ...]
    strategy: GroupStrategy = GroupStrategy.PACK
    selectors: tuple[LabelSelector, ...] = ()
    soft_target_node_id: str | None = None
    name: str = ""
    elsewhere: tuple[tuple[int, str], ...] = ()
    waits: bool = False


class BundlesElsewhere(Record):
    """Bundles of a group lie on nodes of other machines, and need no place here; those that did before are lost.

    Args:
        pg_id: the group.
        nodes: by bundle.
    """

    pg_id: str
    nodes: tuple[tuple[int, str], ...]


class PlacementGroupRemoved(Record):
    """The group is over: what runs in it is killed, what waits for it can never run."""

    pg_id: str


class Tick(Record):
    """Time has passed. Send one at `Scheduler.next_wakeup()`."""


Event = (
    NodeAdded
    | NodeRemoved
    | ClassAdded
    | ClassRemoved
    | ClassDemand
    | WorkerStarted
    | WorkerStartFailed
    | WorkerDied
    | LeaseReturned
    | LeaseIdle
    | LeaseBusy
    | WorkerBlocked
    | WorkerUnblocked
    | ActorSubmitted
    | ActorEnded
    | PlacementGroupCreated
    | BundlesElsewhere
    | PlacementGroupRemoved
    | Tick
)
