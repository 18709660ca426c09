"""A harness whose workers start at once, so that tests read as events and what became of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import pytest

from ray_async.runtime.scheduler import events as ev
from ray_async.runtime.scheduler import instructions as ins
from ray_async.runtime.scheduler.resources import ResourceSet
from ray_async.runtime.scheduler.scheduler import Scheduler
from ray_async.runtime.scheduler.settings import SchedulerSettings
from ray_async.runtime.scheduler.specs import ActorSpec, ClassSpec


class Harness:
    """Feeds a scheduler; `leases` and `actors` say which slot serves what, `seen` keeps all instructions."""

    def __init__(self, **settings: Any) -> None:
        self.scheduler = Scheduler(SchedulerSettings(**settings))
        self.now = 0.0
        self.auto_start = True
        self.next_slot = 0
        self.slots: dict[int, str] = {}
        self.leases: dict[int, ins.Lease] = {}
        self.actors: dict[str, ins.PlaceActor] = {}
        self.seen: list[ins.Instruction] = []

    def send(self, event: ev.Event) -> list[ins.Instruction]:
        """Hand one event over, let the workers that it asks for start, and return all instructions."""
        if isinstance(event, ev.LeaseReturned | ev.WorkerDied):
            self.leases.pop(event.slot, None)
        out = self.scheduler.handle(event, self.now)
        self.seen += out
        for instruction in list(out):
            if isinstance(instruction, ins.Lease):
                assert instruction.slot not in self.leases
                self.leases[instruction.slot] = instruction
            elif isinstance(instruction, ins.PlaceActor):
                self.actors[instruction.actor_id] = instruction
            elif isinstance(instruction, ins.StartWorker) and self.auto_start:
                for _ in range(instruction.count):
                    out = out + self.start_worker(instruction.node_id, instruction.env_key)
        return out

    def start_worker(self, node_id: str, env_key: str = "") -> list[ins.Instruction]:
        """Report a new worker."""
        slot = self.next_slot
        self.next_slot += 1
        self.slots[slot] = node_id
        return self.send(ev.WorkerStarted(slot, node_id, env_key))

    def node(self, node_id: str, labels: Mapping[str, str] | None = None, **resources: float) -> list[ins.Instruction]:
        """Add a node."""
        return self.send(ev.NodeAdded(node_id, resources, labels or {}))

    def task_class(self, class_id: int, queued: int = 0, spec: Any = None, **resources: float) -> list[ins.Instruction]:
        """Add a class, with `CPU=1` and the like, and its demand."""
        self.send(ev.ClassAdded(class_id, ClassSpec(resources=ResourceSet.of(resources), **(spec or {}))))
        return self.send(ev.ClassDemand(class_id, queued)) if queued else []

    def actor(self, actor_id: str, spec: Any = None, **resources: float) -> list[ins.Instruction]:
        """Submit an actor that holds the resources for life."""
        return self.send(ev.ActorSubmitted(actor_id, ActorSpec(resources=ResourceSet.of(resources), **(spec or {}))))

    def group(self, pg_id: str, *bundles: Mapping[str, float], **options: Any) -> list[ins.Instruction]:
        """Create a placement group."""
        return self.send(ev.PlacementGroupCreated(pg_id, tuple(map(ResourceSet.of, bundles)), **options))

    def busy(self, *slots: int) -> None:
        """Report leases as running a task."""
        for slot in slots:
            self.send(ev.LeaseBusy(slot))

    def slots_of(self, class_id: int) -> list[int]:
        """Slots that are leased to a class."""
        return sorted(slot for slot, lease in self.leases.items() if lease.class_id == class_id)

    def nodes_of(self, class_id: int) -> list[str]:
        """Nodes of a class's leases."""
        return sorted(lease.node_id for lease in self.leases.values() if lease.class_id == class_id)

    def tick(self, seconds: float) -> list[ins.Instruction]:
        """Let time pass."""
        self.now += seconds
        return self.send(ev.Tick())

    def available(self, name: str = "CPU") -> float:
        """What the ledgers have free, idle leases not counted."""
        return self.scheduler.report.available_resources(idle_is_free=False).get(name, 0.0)


@pytest.fixture
def harness() -> Callable[..., Harness]:
    """Build a harness with the given settings."""
    return Harness
