"""The scheduler: events in, instructions out. No I/O, no clock, no randomness."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ray_async.runtime.scheduler import events as ev
from ray_async.runtime.scheduler.demands import ActorQueue, ActorRecord, ClassDemandState
from ray_async.runtime.scheduler.dispatching import Dispatcher
from ray_async.runtime.scheduler.granting import Granting
from ray_async.runtime.scheduler.grants import Activity, Grant, Revocation
from ray_async.runtime.scheduler.instructions import (
    Instruction,
    PlacementGroupReady,
    PlacementGroupRescheduling,
    StopReason,
)
from ray_async.runtime.scheduler.node_table import NodeRow, WorkerRow, WorkerState
from ray_async.runtime.scheduler.placement_groups import BundleGroup, GroupState
from ray_async.runtime.scheduler.policy.strategies import SpreadStrategy
from ray_async.runtime.scheduler.reclaiming import Reclaimer
from ray_async.runtime.scheduler.recycling import Recycler
from ray_async.runtime.scheduler.report import Report
from ray_async.runtime.scheduler.resources import ResourceSet
from ray_async.runtime.scheduler.settings import SchedulerSettings
from ray_async.runtime.scheduler.tables import ClusterState

__all__ = ("Scheduler",)


class Scheduler:
    """Decides how many workers on which node serve which class, and where actors and bundles go.

    Args:
        settings: limits and times.

    Example:
        >>> scheduler = Scheduler()
        >>> scheduler.handle(NodeAdded("head", {"CPU": 2}), now=0.0)
        []
        >>> scheduler.handle(ClassAdded(1, ClassSpec(resources=ResourceSet.of({"CPU": 1}))), now=0.0)
        []
        >>> scheduler.handle(ClassDemand(1, queued=5), now=0.0)
        [StartWorker(node_id='head', env_key='', count=2)]
    """

    def __init__(self, settings: SchedulerSettings | None = None) -> None:
        self._state = ClusterState(settings or SchedulerSettings())
        self._granting = Granting(self._state)
        self._dispatcher = Dispatcher(self._state, self._granting)
        self._reclaimer = Reclaimer(self._state, self._dispatcher)
        self._recycler = Recycler(self._state)
        self.report = Report(self._state)
        self._handlers: dict[type[Any], Callable[[Any], None]] = {
            ev.NodeAdded: self._node_added,
            ev.NodeRemoved: self._node_removed,
            ev.ClassAdded: self._class_added,
            ev.ClassRemoved: self._class_removed,
            ev.ClassDemand: self._class_demand,
            ev.WorkerStarted: self._worker_started,
            ev.WorkerStartFailed: self._worker_start_failed,
            ev.WorkerDied: self._worker_died,
            ev.LeaseReturned: self._lease_returned,
            ev.LeaseIdle: self._lease_idle,
            ev.LeaseBusy: self._lease_busy,
            ev.WorkerBlocked: self._worker_blocked,
            ev.WorkerUnblocked: self._worker_unblocked,
            ev.ActorSubmitted: self._actor_submitted,
            ev.ActorEnded: self._actor_ended,
            ev.PlacementGroupCreated: self._group_created,
            ev.PlacementGroupRemoved: self._group_removed,
            ev.BundlesElsewhere: self._bundles_elsewhere,
            ev.Tick: self._tick,
        }

    def handle(self, event: ev.Event, now: float) -> list[Instruction]:
        """Take one event in and return what is to be done, in order.

        Args:
            event: what has happened.
            now: monotonic time in seconds; never smaller than in the call before.

        Raises:
            ValueError: an id that was used before, or an unknown class.
        """
        state = self._state
        state.now = now
        self._handlers[type(event)](event)
        if state.freed or state.changed:
            self._dispatcher.run()
            self._reclaimer.run()
            if state.freed or state.changed:
                self._dispatcher.run()
        if state.short_of_workers:
            self._recycler.start_missing()
        out, state.out = state.out, []
        return out

    def next_wakeup(self) -> float | None:
        """Return the time at which a Tick is due; None when none is needed."""
        times = [t for t in (self._reclaimer.next_time(), self._recycler.next_time()) if t is not None]
        return min(times, default=None)

    # -- nodes ---------------------------------------------------------------------------------------------------

    def _node_added(self, event: ev.NodeAdded) -> None:
        settings = self._state.settings
        node = NodeRow(event.node_id, ResourceSet.of(event.resources), event.labels)
        node.soft_limit = settings.soft_worker_limit or node.soft_limit
        node.max_starting = settings.max_starting or node.max_starting
        self._state.nodes.add(node)
        self._state.topology += 1
        self._state.freed = True
        if settings.prestart:
            self._recycler.start(node, "", settings.prestart)

    def _node_removed(self, event: ev.NodeRemoved) -> None:
        state = self._state
        node = state.nodes.remove(event.node_id)
        if node is None:
            return
        state.topology += 1
        state.group_changes += 1
        state.freed = True
        for group in list(state.groups.values()):
            self._lose_bundles(group, node)
        for grants in list(node.waiting.values()):
            for grant in list(grants):
                self._drop_pending(grant)
        for worker in list(node.workers.values()):
            if worker.grant is not None:
                self._end_grant(worker)
            self._recycler.stop(worker, StopReason.NODE_REMOVED)
        node.starting.clear()

    def _lose_bundles(self, group: BundleGroup, node: NodeRow) -> None:
        lost = tuple(index for index, pool in group.pools.items() if pool.node is node)
        if not lost:
            return
        for index in lost:
            group.pools.pop(index).close()
        group.count_missing()
        group.state = GroupState.RESCHEDULING
        self._state.emit(PlacementGroupRescheduling(group.pg_id, lost))
        self._state.review(group)

    # -- classes and leases --------------------------------------------------------------------------------------

    def _class_added(self, event: ev.ClassAdded) -> None:
        if event.class_id in self._state.classes:
            raise ValueError(f"class id {event.class_id} is in use")
        self._state.classes[event.class_id] = ClassDemandState(event.class_id, event.spec)

    def _class_removed(self, event: ev.ClassRemoved) -> None:
        demand = self._state.classes.pop(event.class_id, None)
        if demand is not None:
            demand.queued = 0
            demand.removed = True
            self._granting.trim(demand)
            self._state.review(demand)
            for grant in list(demand.leases.values()):
                self._reclaimer.revoke(grant, urgent=True)

    def _class_demand(self, event: ev.ClassDemand) -> None:
        demand = self._state.classes.get(event.class_id)
        if demand is None:
            raise ValueError(f"class id {event.class_id} is not known")
        demand.queued = event.queued
        oldest_fresh = self._state.now - self._state.settings.fresh_lease_s
        if demand.fresh and event.queued:
            for grant in [g for g in demand.fresh if g.granted_at <= oldest_fresh]:
                self._granting.note_activity(grant, Activity.BUSY)
        self._granting.trim(demand)
        self._state.review(demand)

    def _leased(self, slot: int) -> Grant | None:
        worker = self._state.workers.get(slot)
        return worker.grant if worker is not None and worker.state is WorkerState.LEASED else None

    def _lease_returned(self, event: ev.LeaseReturned) -> None:
        grant = self._leased(event.slot)
        if grant is None or not isinstance(grant.owner, ClassDemandState):
            return
        demand = grant.owner
        if grant.revocation is Revocation.NONE and not isinstance(demand.spec.strategy, SpreadStrategy):
            demand.queued = 0
        self._granting.end(grant)
        self._granting.trim(demand)
        self._granting.settle(self._state.workers[event.slot])

    def _lease_idle(self, event: ev.LeaseIdle) -> None:
        grant = self._leased(event.slot)
        if grant is not None:
            self._granting.note_activity(grant, Activity.IDLE)
            self._reclaimer.run()

    def _lease_busy(self, event: ev.LeaseBusy) -> None:
        grant = self._leased(event.slot)
        if grant is not None:
            self._granting.note_activity(grant, Activity.BUSY)

    # -- workers -------------------------------------------------------------------------------------------------

    def _worker_started(self, event: ev.WorkerStarted) -> None:
        state = self._state
        if event.slot in state.workers:
            raise ValueError(f"worker slot {event.slot} is in use")
        node = state.nodes.get(event.node_id) or state.nodes.gone.get(event.node_id)
        if node is None:
            raise ValueError(f"node {event.node_id!r} is not known")
        worker = WorkerRow(event.slot, node, event.env_key)
        if event.used:
            worker.devices = ()
        state.workers[event.slot] = node.workers[event.slot] = worker
        node.task_workers += 1
        if node.alive:
            self._recycler.arrived(node, event.env_key)
            self._granting.settle(worker)
        else:
            node.add_idle(worker, state.now)
            self._recycler.stop(worker, StopReason.NODE_REMOVED)

    def _worker_start_failed(self, event: ev.WorkerStartFailed) -> None:
        node = self._state.nodes.get(event.node_id)
        if node is not None:
            self._recycler.failed(node, event.env_key, event.count)

    def _worker_died(self, event: ev.WorkerDied) -> None:
        state = self._state
        worker = state.workers.pop(event.slot, None)
        if worker is None:
            return
        if worker.grant is not None:
            self._end_grant(worker)
        elif worker.state is WorkerState.IDLE:
            worker.node.drop_idle(worker)
        self._recycler.leave(worker)
        del worker.node.workers[event.slot]

    def _end_grant(self, worker: WorkerRow) -> None:
        """Take the grant from a worker that is gone."""
        grant = worker.grant
        assert grant is not None
        worker.grant = None
        self._granting.end(grant)

    def _worker_blocked(self, event: ev.WorkerBlocked) -> None:
        grant = self._granted(event.slot)
        if grant is None or grant.blocked:
            return
        grant.blocked = True
        if isinstance(grant.owner, ClassDemandState):
            self._granting.note_activity(grant, Activity.BUSY)
        if grant.allocation.resources["CPU"]:
            grant.allocation.pool.lend_cpu(grant.allocation)
            self._state.freed = True

    def _worker_unblocked(self, event: ev.WorkerUnblocked) -> None:
        grant = self._granted(event.slot)
        if grant is None or not grant.blocked:
            return
        grant.blocked = False
        pool = grant.allocation.pool
        pool.retake_cpu(grant.allocation)
        if pool.available.get("CPU", 0) < 0:
            self._reclaimer.relieve(pool, grant)

    def _granted(self, slot: int) -> Grant | None:
        worker = self._state.workers.get(slot)
        return None if worker is None else worker.grant

    # -- actors --------------------------------------------------------------------------------------------------

    def _actor_submitted(self, event: ev.ActorSubmitted) -> None:
        if event.actor_id in self._state.actors:
            raise ValueError(f"actor id {event.actor_id!r} is in use")
        actor = ActorRecord(event.actor_id, event.spec)
        self._state.actors[event.actor_id] = actor
        self._enqueue(actor)

    def _enqueue(self, actor: ActorRecord) -> None:
        queue = self._state.actor_queues.get(actor.spec)
        if queue is None:
            queue = self._state.actor_queues[actor.spec] = ActorQueue(actor.spec)
        queue.actors[actor.actor_id] = actor
        actor.queue = queue
        self._state.review(queue)

    def _actor_ended(self, event: ev.ActorEnded) -> None:
        actor = self._state.actors.pop(event.actor_id, None)
        if actor is None:
            return
        if actor.queue is not None:
            del actor.queue.actors[actor.actor_id]
            self._state.review(actor.queue)
            self._forget_queue(actor.queue)
        elif actor.grant is not None and actor.grant.slot is None:
            self._granting.end(actor.grant)
        elif actor.grant is not None and actor.grant.slot is not None:
            # Its resources come back when the process is gone, not before: devices are in use until then.
            self._recycler.stop(self._state.workers[actor.grant.slot], StopReason.ACTOR_ENDED)

    def _forget_queue(self, queue: ActorQueue) -> None:
        if not queue.actors:
            self._state.actor_queues.pop(queue.spec, None)

    def _drop_pending(self, grant: Grant) -> None:
        """End a grant that waits for a worker which will not come; its owner waits anew."""
        self._granting.end(grant)
        if isinstance(grant.owner, ActorRecord):
            self._enqueue(grant.owner)

    # -- placement groups ----------------------------------------------------------------------------------------

    def _group_created(self, event: ev.PlacementGroupCreated) -> None:
        if event.pg_id in self._state.groups:
            raise ValueError(f"placement group id {event.pg_id!r} is in use")
        group = BundleGroup(
            event.pg_id, event.bundles, event.strategy, event.selectors, event.soft_target_node_id, event.name
        )
        self._state.groups[event.pg_id] = group
        self._state.group_changes += 1
        group.elsewhere.update(event.elsewhere)
        group.waits = event.waits
        group.count_missing()
        self._state.review(group)

    def _bundles_elsewhere(self, event: ev.BundlesElsewhere) -> None:
        group = self._state.groups.get(event.pg_id)
        if group is None:
            return
        nodes = dict(event.nodes)
        lost = tuple(index for index in group.elsewhere if index not in nodes)
        group.elsewhere = {index: node for index, node in nodes.items() if index not in group.pools}
        group.waits = False
        group.count_missing()
        self._state.group_changes += 1
        self._state.freed = True
        if not group.missing and group.state is not GroupState.CREATED:
            group.state = GroupState.CREATED
            self._state.emit(PlacementGroupReady(group.pg_id, group.bundle_nodes()))
        elif group.missing and group.state is GroupState.CREATED:
            group.state = GroupState.RESCHEDULING
            self._state.emit(PlacementGroupRescheduling(group.pg_id, lost))
        self._state.review(group)

    def _group_removed(self, event: ev.PlacementGroupRemoved) -> None:
        state = self._state
        group = state.groups.pop(event.pg_id, None)
        if group is None:
            return
        group.state = GroupState.REMOVED
        state.removed_groups.append(group)
        state.group_changes += 1
        state.freed = True
        state.review(group)
        for pool in group.pools.values():
            for grant in list(pool.grants):
                if grant.slot is None:
                    self._drop_pending(grant)
                else:
                    self._reclaimer.write_off(grant)
                    self._recycler.kill(state.workers[grant.slot], event.pg_id)
            pool.close()

    # -- time ----------------------------------------------------------------------------------------------------

    def _tick(self, event: ev.Tick) -> None:
        self._reclaimer.end_holds()
        self._reclaimer.return_unused()
        self._recycler.stop_unused()
        self._recycler.retry()
        if self._state.waiting:
            self._reclaimer.run()
