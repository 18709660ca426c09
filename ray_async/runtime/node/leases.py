"""Leases as the scheduler decides them, given to workers and taken back through the arena."""

from __future__ import annotations

import asyncio

from ray_async._core.constants import WorkerFlag
from ray_async._core.node_view import NodeView
from ray_async.runtime.node.actors import Actors
from ray_async.runtime.node.classes import Classes
from ray_async.runtime.node.dispatch import Dispatch
from ray_async.runtime.node.workers import WorkerProcess, Workers
from ray_async.runtime.scheduler import events, instructions

__all__ = ("Leases",)


class Leases:
    """What workers serve.

    Args:
        processes: view of the arena's processes.
        dispatch: to the scheduler.
        workers: to which leases are given.
        classes, actors: that they serve.
    """

    def __init__(
        self, processes: NodeView, dispatch: Dispatch, workers: Workers, classes: Classes, actors: Actors
    ) -> None:
        self._processes = processes
        self._dispatch = dispatch
        self._by_slot = workers.by_slot
        self._classes = classes
        self._actors = actors

    def give(self, lease: instructions.Lease) -> None:
        """Have a worker serve a class."""
        worker = self._by_slot.get(lease.slot)
        if worker is None:
            return
        worker.accelerators = {name: list(ids) for name, ids in lease.accelerator_ids}
        worker.lease = lease.class_id
        given = self._processes.leased_class(lease.slot)
        if given == 0:
            worker.sequence += 1
            self._processes.lease(lease.slot, worker.sequence, lease.class_id)
        elif given != lease.class_id:
            # The driver's lease of the start is for another class: this one next_lease when that is given back.
            worker.next_lease = lease.class_id
            if self._processes.take_idle(lease.slot):
                self._follow(worker)
            else:
                self._processes.flag(lease.slot, WorkerFlag.REVOKE)
        if lease.max_tasks:
            self._processes.flag(lease.slot, WorkerFlag.ONE_TASK)

    def _follow(self, worker: WorkerProcess) -> None:
        class_id, worker.next_lease = worker.next_lease, 0
        if class_id not in self._classes:  # it has ended meanwhile
            worker.lease = None
            self._dispatch.schedule(events.LeaseReturned(worker.slot))
            return
        worker.sequence += 1
        self._processes.lease(worker.slot, worker.sequence, class_id)

    def revoke(self, slot: int, urgent: bool) -> None:
        """Take a lease back at once if it is idle; a busy one after its task, if it is urgent."""
        worker = self._by_slot.get(slot)
        if worker is None or worker.lease is None:
            return
        if self._processes.take_idle(slot):
            class_id, worker.lease = worker.lease, None
            asyncio.get_event_loop().call_soon(self._took_back, slot, class_id)
        elif urgent:
            self._processes.flag(slot, WorkerFlag.REVOKE)
        else:
            asyncio.get_event_loop().call_soon(self._dispatch.schedule, events.LeaseBusy(slot))

    def _took_back(self, slot: int, class_id: int) -> None:
        if slot in self._by_slot:
            self._dispatch.schedule(events.LeaseReturned(slot))
        if class_id in self._classes and self._classes.queue_length(class_id):
            self._classes.report_demand(class_id)

    def returned(self, slot: int) -> None:
        """A worker has given its lease back."""
        worker = self._by_slot.get(slot)
        if worker is None or worker.lease is None:
            return
        if worker.next_lease:
            self._follow(worker)
            return
        class_id, worker.lease = worker.lease, None
        self._dispatch.schedule(events.LeaseReturned(slot))
        if class_id in self._classes:
            self._classes.report_demand(class_id)

    def idle(self, slot: int) -> None:
        """A worker has found its class's queue empty."""
        worker = self._by_slot.get(slot)
        if worker is not None and worker.lease in self._classes:
            self._classes.report_demand(worker.lease)

    def blocked(self, slot: int) -> None:
        """What a worker runs waits for other tasks, and needs no CPU."""
        if slot in self._by_slot:
            self._dispatch.schedule(events.WorkerBlocked(slot))

    def unblocked(self, slot: int) -> None:
        """What a worker runs goes on."""
        if slot in self._by_slot:
            self._dispatch.schedule(events.WorkerUnblocked(slot))

    def place_actor(self, placed: instructions.PlaceActor) -> None:
        """Have a worker host an actor."""
        worker = self._by_slot.get(placed.slot)
        if worker is None:
            return
        if self._processes.leased_class(placed.slot) and not self._processes.take_idle(placed.slot):
            # The driver's lease of the start still runs a task: the actor next_lease it.
            self._processes.flag(placed.slot, WorkerFlag.REVOKE)
            self._dispatch.later(0.002, lambda: self.place_actor(placed))
            return
        worker.accelerators = {name: list(ids) for name, ids in placed.accelerator_ids}
        self._actors.placed(placed.actor_id, worker)
