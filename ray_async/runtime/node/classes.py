"""The scheduling classes of a session: what the node knows of them, and tells the scheduler of their queues."""

from __future__ import annotations

import json
import logging
from typing import TYPE_CHECKING, Any

from ray_async import exceptions as errors
from ray_async.runtime import placement_spec
from ray_async.runtime.node.attempt import attempt
from ray_async.runtime.scheduler import events
from ray_async.runtime.scheduler.specs import ClassSpec, TaskKind

if TYPE_CHECKING:
    from ray_async.runtime.node.process import Node

__all__ = ("Classes",)

_logger = logging.getLogger("ray_async.node")

_IDLE, _BUSY = 1, 2  # states of a lease word


class Classes:
    """Scheduling classes that processes have written into the arena.

    Args:
        node: the process's parts.
    """

    def __init__(self, node: Node) -> None:
        self._node = node
        self._view = node.view
        self._known: dict[int, tuple[int, dict[str, Any]]] = {}  # queue and description

    def __contains__(self, class_id: object) -> bool:
        return class_id in self._known

    def learn(self, class_id: int) -> None:
        """Read a new class's description and tell the scheduler of it."""
        if class_id in self._known:
            return
        found = self._view.class_spec(class_id)
        if found is None:
            return
        data, queue, _ = found
        try:
            spec = json.loads(data)
            wants = placement_spec.requirements(spec)
            kind = TaskKind.ASYNC if spec.get("kind") == "async" else TaskKind.SYNC
            parsed = ClassSpec(kind=kind, tasks_per_worker=int(spec.get("tasks_per_worker", 1)), **wants)
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            _logger.error("scheduling class %d has a description that cannot be read: %s", class_id, error)
            return
        self._known[class_id] = (queue, spec)
        self._node.environments.learn(spec)
        self._node.schedule(events.ClassAdded(class_id, parsed))
        self.tell_demand(class_id)

    def learn_all(self) -> None:
        """Read every class that the arena's table has."""
        for class_id in range(1, self._view.n_classes()):
            attempt(self.learn, class_id)

    def demanded(self, class_id: int) -> None:
        """A class's doorbell has rung."""
        if class_id in self._known:
            self.tell_demand(class_id)
        else:
            self.learn(class_id)

    def tell_demand(self, class_id: int) -> None:
        """Tell the scheduler a class's leases as they are, then the length of its queue."""
        schedule = self._node.schedule
        queue, _ = self._known[class_id]
        queued = self._view.queue_length(queue)
        for worker in list(self._node.workers.by_slot.values()):  # an event may start one
            if worker.lease == class_id:
                state = self._view.lease_state(worker.slot)
                if state == _BUSY:
                    schedule(events.LeaseBusy(worker.slot))
                elif state == _IDLE:
                    schedule(events.LeaseIdle(worker.slot))
        if queued:
            self._view.set_doorbell(queue)
            self._view.wake_queue(queue)
        else:
            self._view.reset_doorbell(queue)
            if self._view.queue_length(queue):
                self._view.set_doorbell(queue)
                queued = self._view.queue_length(queue)
        schedule(events.ClassDemand(class_id, queued))

    def tell_all(self) -> None:
        """The same for all classes: afterwards what the scheduler says of free resources is true."""
        for class_id in list(self._known):
            attempt(self.tell_demand, class_id)

    def queue_length(self, class_id: int) -> int:
        """How many tasks of a class wait in its queue."""
        return self._view.queue_length(self._known[class_id][0])

    def explain(self, queue: int) -> str:
        """Say what the tasks of a queue wait for; empty for a queue that is no class's."""
        class_id = next((class_id for class_id, (known, _) in self._known.items() if known == queue), None)
        if class_id is None:
            return ""
        self.tell_demand(class_id)
        return self._node.scheduler.report.explain(class_id)

    def pending(self) -> list[dict[str, Any]]:
        """What waits: rows of ``resources`` and ``count``."""
        lengths = [(self._view.queue_length(queue), spec) for queue, spec in self._known.values()]
        return [{"resources": spec["resources"], "count": count} for count, spec in lengths if count]

    def unschedulable(self, class_id: int, reason: str) -> None:
        """No node will ever run a class's tasks: fail them."""
        queue, spec = self._known[class_id]
        if "group" in spec and self._node.groups.is_removed(spec["group"]):
            payload = errors.to_payload(errors.TaskPlacementGroupRemoved())
        else:
            payload = errors.to_payload(errors.TaskUnschedulableError(f"it cannot run because {reason}"))
        self._node.tasks.fail_queue(queue, lambda record, facts: payload)

    def cannot_start(self, env_key: str, error: BaseException) -> None:
        """No worker of an environment can be had: fail the tasks that wait for one.

        Args:
            env_key: of the environment.
            error: what the tasks fail with.
        """
        payload = errors.to_payload(error)
        for queue, spec in self._known.values():
            if spec.get("env_key") == env_key:
                self._node.tasks.fail_queue(queue, lambda record, facts: payload)
