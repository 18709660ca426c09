"""Instructions of the scheduler, and the parts of the node that carry them out."""

from __future__ import annotations

from ray_async.runtime.node.actors import Actors
from ray_async.runtime.node.classes import Classes
from ray_async.runtime.node.death.evidence import DeathCause
from ray_async.runtime.node.depth_limit import DepthLimit
from ray_async.runtime.node.groups import Groups
from ray_async.runtime.node.leases import Leases
from ray_async.runtime.node.listeners import Listeners
from ray_async.runtime.node.other_nodes import NodeMembership
from ray_async.runtime.node.worker_lifecycle import WorkerLifecycle
from ray_async.runtime.scheduler import instructions

__all__ = ("SchedulerInstructions",)

_STOP_CAUSES = {
    instructions.StopReason.IDLE: DeathCause.SPARE,
    instructions.StopReason.OTHER_ENVIRONMENT: DeathCause.SPARE,
    instructions.StopReason.NODE_REMOVED: DeathCause.NODE_DIED,
    instructions.StopReason.ACTOR_ENDED: DeathCause.ACTOR_ENDED,
}


class SchedulerInstructions:
    """Has instructions carried out.

    Args:
        lifecycle: starts and stops workers.
        leases: given and taken.
        classes, actors, groups: for which the scheduler has decided something.
        listeners: drivers that are warned.
        depth: of tasks that wait for tasks.
        cluster: whose other nodes may have what is missing here.
    """

    def __init__(
        self,
        lifecycle: WorkerLifecycle,
        leases: Leases,
        classes: Classes,
        actors: Actors,
        groups: Groups,
        *,
        listeners: Listeners,
        depth: DepthLimit,
        cluster: NodeMembership,
    ) -> None:
        self._lifecycle = lifecycle
        self._leases = leases
        self._classes = classes
        self._actors = actors
        self._groups = groups
        self._listeners = listeners
        self._depth = depth
        self._cluster = cluster

    def carry_out(self, instruction: instructions.Instruction) -> None:
        """Do what an instruction says."""
        match instruction:
            case instructions.StartWorker(node_id, env_key, count):
                for _ in range(count):
                    self._lifecycle.start(node_id, env_key)
            case instructions.Lease():
                self._leases.give(instruction)
            case instructions.Revoke(slot, urgent):
                self._leases.revoke(slot, urgent)
            case instructions.StopWorker(slot, reason):
                self._lifecycle.stop(slot, _STOP_CAUSES[reason])
            case instructions.PlaceActor():
                self._leases.place_actor(instruction)
            case instructions.ActorUnschedulable(actor_id, reason):
                self._actors.unschedulable(actor_id, reason)
            case instructions.ClassUnschedulable(class_id, reason):
                self._classes.unschedulable(class_id, reason)
            case instructions.WarnInfeasible(_, _, message):
                if not self._cluster.others.is_joined:  # else another node may have it
                    self._listeners.warn(message)
            case instructions.WorkerLimitReached(_, _, _, message):
                self._listeners.warn(message)
                self._depth.reached(message)
            case instructions.PlacementGroupReady(pg_id, bundle_nodes):
                self._groups.ready(pg_id, bundle_nodes)
            case instructions.PlacementGroupRescheduling(pg_id, _):
                self._groups.rescheduling(pg_id)
            case instructions.KillForPlacementGroup(slot, _):
                self._lifecycle.stop(slot, DeathCause.GROUP_REMOVED)
