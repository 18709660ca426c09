"""Leases as the scheduler decides them, given to workers and taken back through the arena."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from ray_async._core.constants import WorkerFlag
from ray_async.runtime.node.workers import WorkerProcess
from ray_async.runtime.scheduler import events, instructions

if TYPE_CHECKING:
    from ray_async.runtime.node.node import Node

__all__ = ("Leases",)


class Leases:
    """What workers serve.

    Args:
        node: the process's parts.
    """

    def __init__(self, node: Node) -> None:
        self._node = node
        self._view = node.view
        self._by_slot = node.workers.by_slot

    def give(self, lease: instructions.Lease) -> None:
        """Have a worker serve a class."""
        worker = self._by_slot.get(lease.slot)
        if worker is None:
            return
        worker.accelerators = {name: list(ids) for name, ids in lease.accelerator_ids}
        worker.lease = lease.class_id
        given = self._view.leased_class(lease.slot)
        if given == 0:
            worker.sequence += 1
            self._view.lease(lease.slot, worker.sequence, lease.class_id)
        elif given != lease.class_id:
            # The driver's lease of the start is for another class: this one next_lease when that is given back.
            worker.next_lease = lease.class_id
            if self._view.take_idle(lease.slot):
                self._follow(worker)
            else:
                self._view.flag(lease.slot, WorkerFlag.REVOKE)
        if lease.max_tasks:
            self._view.flag(lease.slot, WorkerFlag.ONE_TASK)

    def _follow(self, worker: WorkerProcess) -> None:
        class_id, worker.next_lease = worker.next_lease, 0
        if class_id not in self._node.classes:  # it has ended meanwhile
            worker.lease = None
            self._node.schedule(events.LeaseReturned(worker.slot))
            return
        worker.sequence += 1
        self._view.lease(worker.slot, worker.sequence, class_id)

    def revoke(self, slot: int, urgent: bool) -> None:
        """Take a lease back at once if it is idle; a busy one after its task, if it is urgent."""
        worker = self._by_slot.get(slot)
        if worker is None or worker.lease is None:
            return
        if self._view.take_idle(slot):
            class_id, worker.lease = worker.lease, None
            asyncio.get_event_loop().call_soon(self._took_back, slot, class_id)
        elif urgent:
            self._view.flag(slot, WorkerFlag.REVOKE)
        else:
            asyncio.get_event_loop().call_soon(self._node.schedule, events.LeaseBusy(slot))

    def _took_back(self, slot: int, class_id: int) -> None:
        if slot in self._by_slot:
            self._node.schedule(events.LeaseReturned(slot))
        classes = self._node.classes
        if class_id in classes and classes.queue_length(class_id):
            classes.tell_demand(class_id)

    def returned(self, slot: int) -> None:
        """A worker has given its lease back."""
        worker = self._by_slot.get(slot)
        if worker is None or worker.lease is None:
            return
        if worker.next_lease:
            self._follow(worker)
            return
        class_id, worker.lease = worker.lease, None
        self._node.schedule(events.LeaseReturned(slot))
        if class_id in self._node.classes:
            self._node.classes.tell_demand(class_id)

    def place_actor(self, placed: instructions.PlaceActor) -> None:
        """Have a worker host an actor."""
        worker = self._by_slot.get(placed.slot)
        if worker is None:
            return
        if self._view.leased_class(placed.slot) and not self._view.take_idle(placed.slot):
            # The driver's lease of the start still runs a task: the actor next_lease it.
            self._view.flag(placed.slot, WorkerFlag.REVOKE)
            self._node.later(0.002, lambda: self.place_actor(placed))
            return
        worker.accelerators = {name: list(ids) for name, ids in placed.accelerator_ids}
        self._node.actors.placed(placed.actor_id, worker)
