"""The data of the scheduler: what the parts of the machine read and change."""

from __future__ import annotations

from collections import deque

from ray_async.runtime.scheduler.demands import ActorQueue, ActorRecord, ClassDemandState, Demand
from ray_async.runtime.scheduler.grants import Grant
from ray_async.runtime.scheduler.instructions import Instruction
from ray_async.runtime.scheduler.node_table import NodeRow, NodeTable, WorkerRow
from ray_async.runtime.scheduler.placement_groups import BundleGroup
from ray_async.runtime.scheduler.settings import SchedulerSettings
from ray_async.runtime.scheduler.specs import ActorSpec, Requirements

__all__ = ("ClusterState",)

_REMOVED_GROUPS_SHOWN = 1000


class ClusterState:
    """Tables of nodes, workers, classes, actors and groups, and what has changed since the last round."""

    def __init__(self, settings: SchedulerSettings) -> None:
        self.settings = settings
        self.now = 0.0
        self.nodes = NodeTable()
        self.workers: dict[int, WorkerRow] = {}
        self.classes: dict[int, ClassDemandState] = {}
        self.actors: dict[str, ActorRecord] = {}
        self.actor_queues: dict[ActorSpec, ActorQueue] = {}
        self.groups: dict[str, BundleGroup] = {}
        self.removed_groups: deque[BundleGroup] = deque(maxlen=_REMOVED_GROUPS_SHOWN)
        #: All who wait, the one that waits longest first.
        self.waiting: dict[Demand, None] = {}
        #: Leases that do nothing, with the time since when, the oldest first.
        self.idle_leases: dict[Grant, float] = {}
        #: Workers that are leased to classes.
        self.lease_count = 0
        #: Demands for which resources are held back.
        self.holders: dict[Demand, None] = {}
        #: Changes with every node that comes or goes: cached candidate places are void then.
        self.topology = 0
        #: Changes with every group that is created, reserved or removed: so are those inside groups.
        self.group_changes = 0
        #: Something was freed: all who wait are tried. Else only those in `changed`.
        self.freed = False
        self.changed: dict[Demand, None] = {}
        self.short_of_workers: dict[NodeRow, None] = {}
        self.out: list[Instruction] = []

    def version_for(self, spec: Requirements) -> int:
        """Return a number that grows when other places than before may be candidates for `spec`."""
        return self.topology if spec.placement_group is None else self.topology + self.group_changes

    def emit(self, instruction: Instruction) -> None:
        """Add an instruction for the driver."""
        self.out.append(instruction)

    def review(self, demand: Demand) -> None:
        """File a demand after a change: waiting or not; it is tried at the end of the event."""
        if demand.wants_more:
            if demand not in self.waiting:
                self.waiting[demand] = None
                demand.waiting_since = self.now
            self.changed[demand] = None
        else:
            self.stop_waiting(demand)

    def stop_waiting(self, demand: Demand) -> None:
        """File a demand as satisfied."""
        if self.waiting.pop(demand, self) is None:
            demand.waiting_since = None
        self.changed.pop(demand, None)
        self.release_hold(demand)
        demand.hold_length = 0.0
        demand.hold_not_before = 0.0

    def served(self, demand: Demand) -> None:
        """File a demand that has just got something: what more it wants comes after the others."""
        self.stop_waiting(demand)
        if demand.wants_more:
            self.waiting[demand] = None
            demand.waiting_since = self.now

    def release_hold(self, demand: Demand) -> None:
        """Let others have what is held back for `demand`."""
        if self.holders.pop(demand, self) is None:
            demand.drop_hold()
            self.freed = True
