"""Giving resources and workers to classes and actors, and taking them back."""

from __future__ import annotations

from collections import deque

from ray_async.runtime.scheduler.demands import ActorRecord, ClassDemandState
from ray_async.runtime.scheduler.grants import Activity, Grant, Revocation
from ray_async.runtime.scheduler.instructions import Lease, PlaceActor
from ray_async.runtime.scheduler.node_table import WorkerRow, WorkerState
from ray_async.runtime.scheduler.policy.strategies import SpreadStrategy
from ray_async.runtime.scheduler.pool import ResourcePool
from ray_async.runtime.scheduler.tables import ClusterState

__all__ = ("Granting",)


class Granting:
    """The life of grants: opened, attached to a worker, ended."""

    def __init__(self, state: ClusterState) -> None:
        self._state = state

    def open(self, owner: ClassDemandState | ActorRecord, pool: ResourcePool) -> Grant | None:
        """Take the owner's resources from `pool` and give it a worker, now or when one has started."""
        allocation = pool.take(owner.spec.resources)
        if allocation is None:
            return None
        grant = Grant(owner, allocation, self._state.now)
        pool.grants[grant] = None
        if isinstance(owner, ClassDemandState):
            owner.pending[grant] = None
        else:
            owner.grant = grant
        node = pool.node
        worker = node.find_idle(*grant.worker_key)
        if worker is not None:
            node.drop_idle(worker)
            self._attach(grant, worker)
        else:
            node.waiting.setdefault(owner.spec.env_key, deque()).append(grant)
            node.waiting_count += 1
            self._state.short_of_workers[node] = None
        return grant

    def settle(self, worker: WorkerRow) -> None:
        """Give a free worker to the first grant of its node that waits for such a one, or file it as idle."""
        node = worker.node
        worker.grant = None
        queue = node.waiting.get(worker.env_key, ())
        for grant in queue:
            if worker.devices is None or worker.devices == grant.allocation.accelerator_ids:
                self._unqueue(grant)
                self._attach(grant, worker)
                return
        node.add_idle(worker, self._state.now)
        if node.waiting_count:
            # It can make room for a worker of another environment.
            self._state.short_of_workers[node] = None
        self._state.freed = True

    def _attach(self, grant: Grant, worker: WorkerRow) -> None:
        worker.devices = grant.allocation.accelerator_ids
        worker.grant = grant
        grant.slot = worker.slot
        grant.granted_at = self._state.now
        pool, spec = grant.allocation.pool, grant.owner.spec
        bundle = None
        if spec.placement_group is not None and pool.bundle is not None:
            bundle = (spec.placement_group, pool.bundle)
        node = worker.node
        if isinstance(grant.owner, ActorRecord):
            worker.state = WorkerState.ACTOR
            node.task_workers -= 1
            node.actor_workers += 1
            node.limit_reported = False
            actor_id = grant.owner.actor_id
            self._state.emit(PlaceActor(actor_id, worker.slot, node.node_id, spec.resources, worker.devices, bundle))
            return
        owner = grant.owner
        worker.state = WorkerState.LEASED
        owner.pending.pop(grant, None)
        owner.leases[worker.slot] = grant
        self._state.lease_count += 1
        owner.note(grant)
        limit = 1 if isinstance(spec.strategy, SpreadStrategy) else 0
        self._state.emit(
            Lease(worker.slot, owner.class_id, node.node_id, spec.resources, worker.devices, limit, bundle)
        )

    def end(self, grant: Grant) -> None:
        """Put a grant's resources back; the worker, if any, is the caller's to file."""
        pool = grant.allocation.pool
        if grant.slot is None:
            self._unqueue(grant)
        if pool.grants.pop(grant, self) is None:
            pool.release(grant.allocation)
            pool.end_if_unused()
        self._state.idle_leases.pop(grant, None)
        self._state.freed = True
        if isinstance(grant.owner, ClassDemandState):
            self._state.lease_count -= grant.slot is not None
            grant.owner.forget(grant)
            self._state.review(grant.owner)
        else:
            grant.owner.grant = None

    def trim(self, owner: ClassDemandState) -> None:
        """Give up the youngest grants that still wait for a worker when the class's queue is shorter by now."""
        while owner.pending and owner.wanted < 0:
            self.end(next(reversed(owner.pending)))

    def note_activity(self, grant: Grant, activity: Activity) -> None:
        """File what was reported of a leased worker."""
        state = self._state
        grant.activity = activity
        if activity is Activity.IDLE:
            state.idle_leases.setdefault(grant, state.now)
        else:
            state.idle_leases.pop(grant, None)
            if grant.revocation is Revocation.IF_IDLE:
                grant.revocation = Revocation.NONE
        if isinstance(grant.owner, ClassDemandState):
            grant.owner.note(grant)
            state.review(grant.owner)

    def _unqueue(self, grant: Grant) -> None:
        node, env_key = grant.allocation.pool.node, grant.owner.spec.env_key
        queue = node.waiting.get(env_key)
        if queue is None or grant not in queue:
            return
        queue.remove(grant)
        node.waiting_count -= 1
        # One more worker may start now.
        self._state.freed = True
        if not queue:
            del node.waiting[env_key]
