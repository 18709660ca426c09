"""The scheduling classes of a session: what the node knows of them, and reports to the scheduler of their queues."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

from ray_async import exceptions as errors
from ray_async._core.constants import LeaseState
from ray_async._core.node_view import NodeView
from ray_async._core.record_view import RecordView
from ray_async.runtime.node.dispatch import Dispatch
from ray_async.runtime.node.environments import Environments
from ray_async.runtime.node.guard import guarded
from ray_async.runtime.node.other_nodes import NodeMembership
from ray_async.runtime.node.overflow import Overflow
from ray_async.runtime.node.record_failures import RecordFailures
from ray_async.runtime.node.requirements import class_spec
from ray_async.runtime.node.workers import Workers
from ray_async.runtime.scheduler import events
from ray_async.spec.class_description import ClassDescription

__all__ = ("Classes",)

_logger = logging.getLogger("ray_async.node")

_MAKE_ROOM_S = 0.01
_LONGEST_REST = 15  # ticks


class Classes:
    """Scheduling classes that processes have written into the arena.

    Args:
        processes, records: views of the arena.
        dispatch: to the scheduler.
        workers: serve classes.
        overflow: of the classes' queues.
        failures: ends tasks that nothing will run.
        environments: what the tasks run in.
        cluster: whose other nodes may run tasks.
        is_group_removed: whether the placement group with an id is gone.
    """

    def __init__(
        self,
        processes: NodeView,
        records: RecordView,
        dispatch: Dispatch,
        workers: Workers,
        *,
        overflow: Overflow,
        failures: RecordFailures,
        environments: Environments,
        cluster: NodeMembership,
        is_group_removed: Callable[[str], bool],
    ) -> None:
        self._processes = processes
        self._records = records
        self._dispatch = dispatch
        self._by_slot = workers.by_slot
        self._overflow = overflow
        self._failures = failures
        self._environments = environments
        self._cluster = cluster
        self._is_group_removed = is_group_removed
        self._known: dict[int, tuple[int, ClassDescription]] = {}  # queue and description
        self._hungry: set[int] = set()  # those in whose queues tasks were at the last look
        self._ending: set[int] = set()  # nobody can use them any more, and workers may not have left their queues yet
        self._kept: set[int] = set()  # unused ones that a look over all records has found to be needed
        self._rest = 0  # ticks until the next such look, while only those are unused
        self._longest_rest = 0
        self._asked = False

    def __contains__(self, class_id: object) -> bool:
        return class_id in self._known

    def __len__(self) -> int:
        """How many there are, those that are about to end too."""
        return len(self._known) + len(self._ending)

    def learn(self, class_id: int) -> None:
        """Read a new class's description and report it to the scheduler; 0 says that the table is full."""
        if class_id in self._known:
            return
        if class_id == 0:
            self._make_room()
        found = self._processes.class_spec(class_id)
        if found is None:
            return
        data, queue = found
        try:
            description = ClassDescription.decode(data)
            spec = class_spec(description)
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            _logger.error("scheduling class %d has a description that cannot be read: %s", class_id, error)
            return
        self._known[class_id] = (queue, description)
        self._environments.learn(description)
        self._dispatch.schedule(events.ClassAdded(class_id, spec))
        self.report_demand(class_id)

    def learn_all(self) -> None:
        """Read every class that the arena's table has."""
        for class_id in range(1, self._processes.n_classes()):
            guarded(self.learn, class_id)

    def demanded(self, class_id: int) -> None:
        """A class's doorbell has rung."""
        if class_id in self._known:
            self.report_demand(class_id)
        else:
            self.learn(class_id)

    def report_demand(self, class_id: int) -> None:
        """Report a class's leases to the scheduler as they are, then the length of its queue."""
        schedule = self._dispatch.schedule
        queue, _ = self._known[class_id]
        queued = self._processes.queue_length(queue)
        for worker in list(self._by_slot.values()):  # an event may start one
            if worker.lease == class_id:
                state = self._processes.lease_state(worker.slot)
                if state == LeaseState.BUSY:
                    schedule(events.LeaseBusy(worker.slot))
                elif state == LeaseState.IDLE:
                    schedule(events.LeaseIdle(worker.slot))
        if queued:
            self._hungry.add(class_id)
            self._processes.set_doorbell(queue)
            self._processes.wake_queue(queue)
        else:
            self._hungry.discard(class_id)
            self._processes.reset_doorbell(queue)
            if self._processes.queue_length(queue):
                self._processes.set_doorbell(queue)
                queued = self._processes.queue_length(queue)
        schedule(events.ClassDemand(class_id, queued))
        if queued:
            self._cluster.others.offer_soon()

    def report_all(self) -> None:
        """The same for all classes where something goes on: then what the scheduler says of free resources is true."""
        leased = {worker.lease for worker in self._by_slot.values()}
        for class_id in self._hungry.union(leased, self._processes.waiting_classes()).intersection(self._known):
            guarded(self.report_demand, class_id)

    # -- their end -----------------------------------------------------------------------------------------------------

    def tick(self) -> None:
        """End the classes that nobody can use any more."""
        unused = self._processes.unused_classes()
        if self._rest and self._kept.issuperset(class_id for class_id, _ in unused):
            self._rest -= 1
        elif unused:
            self._end_unused(unused)
        self._free_ended()

    def _make_room(self) -> None:
        """A process waits for a place in the table; several that ask together are served together."""
        if not self._asked:
            self._asked = True
            self._dispatch.later(_MAKE_ROOM_S, self._made_room)

    def _made_room(self) -> None:
        self._asked = False
        self._end_unused(self._processes.unused_classes())
        self._free_ended()

    def _end_unused(self, unused: list[tuple[int, int]]) -> None:
        """Close what no record needs, look once more, and end what is still not needed.

        Records are looked at before, so that few are closed in vain, and after: none can come once a class is closed,
        since whoever has made one was a user of the class.
        """
        needed = self._records.queues()
        self._kept = {class_id for class_id, queue in unused if queue in needed}
        close = self._processes.close_class
        closed = [class_id for class_id, queue in unused if queue not in needed and close(class_id)]
        needed = self._records.queues() if closed else needed
        queues = dict(unused)
        for class_id in closed:
            if queues[class_id] in needed:
                self._processes.reopen_class(class_id)
            else:
                self._end(class_id, queues[class_id])
        only_kept = len(self._kept) == len(unused)
        self._longest_rest = min(2 * self._longest_rest + 1, _LONGEST_REST) if only_kept else 0
        self._rest = self._longest_rest

    def _end(self, class_id: int, queue: int) -> None:
        """Forget a class, in the scheduler too, which asks its leases back."""
        self._ending.add(class_id)
        self._hungry.discard(class_id)
        self._overflow.forget(queue)
        _, description = self._known.pop(class_id, (0, None))
        if description is not None:
            self._environments.release(description)
            self._dispatch.schedule(events.ClassRemoved(class_id))

    def _free_ended(self) -> None:
        """Free what the ending classes have in the arena, once no worker serves them."""
        workers = self._by_slot.values()
        served = {worker.lease for worker in workers} | {worker.next_lease for worker in workers}
        for class_id in self._ending - served:
            if self._processes.end_class(class_id):
                self._ending.discard(class_id)

    def waiting_for_room(self) -> list[tuple[int, ClassDescription, int]]:
        """Classes whose tasks wait and have no worker here, not one that starts: their descriptions, and how many."""
        counts = [(class_id, self.without_room(class_id)) for class_id in self._hungry]
        return [(class_id, self._known[class_id][1], count) for class_id, count in counts if count]

    def guests(self) -> set[int]:
        """Classes of tasks that other nodes have sent here."""
        choices = ((class_id, description.place.choice) for class_id, (_, description) in self._known.items())
        return {class_id for class_id, choice in choices if choice is not None and choice.kind == "guest"}

    def without_room(self, class_id: int) -> int:
        """How many tasks of a class wait and have no worker here."""
        return self._dispatch.report.without_room(class_id, self.queue_length(class_id))

    def queue_and_description(self, class_id: int) -> tuple[int, ClassDescription] | None:
        """Queue and description of a class; None when it has ended."""
        return self._known.get(class_id)

    def queue_length(self, class_id: int) -> int:
        """How many tasks of a class wait in its queue."""
        return self._processes.queue_length(self._known[class_id][0])

    def explain(self, queue: int) -> str:
        """Say what the tasks of a queue wait for; empty for a queue that is no class's."""
        class_id = next((class_id for class_id, (known, _) in self._known.items() if known == queue), None)
        if class_id is None:
            return ""
        self.report_demand(class_id)
        return self._dispatch.report.explain(class_id)

    def pending(self) -> list[dict[str, Any]]:
        """What waits: rows of ``resources`` and ``count``."""
        lengths = [(self._processes.queue_length(queue), known.place) for queue, known in self._known.values()]
        return [{"resources": place.resources, "count": count} for count, place in lengths if count]

    def unschedulable(self, class_id: int, reason: str) -> None:
        """No node will ever run a class's tasks: fail them."""
        if class_id not in self._known:
            return
        queue, description = self._known[class_id]
        if self._cluster.others.may_run(description):
            self._cluster.others.offer_soon()
            return
        group = description.place.group
        if group is not None and self._is_group_removed(group):
            payload = errors.to_payload(errors.TaskPlacementGroupRemoved())
        else:
            payload = errors.to_payload(errors.TaskUnschedulableError(f"it cannot run because {reason}"))
        self._failures.fail_queue(queue, lambda record, facts: payload)

    def cannot_start(self, env_key: str, error: BaseException) -> None:
        """No worker of an environment can be had: fail the tasks that wait for one.

        Args:
            env_key: of the environment.
            error: what the tasks fail with.
        """
        payload = errors.to_payload(error)
        for queue, description in self._known.values():
            if description.env_key == env_key:
                self._failures.fail_queue(queue, lambda record, facts: payload)
