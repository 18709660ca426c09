"""The scheduler under a seeded random driver: fake workers, nodes that come and go, groups, environments.

Invariants are checked after every event. A failure names its seed; run one again with
`SEED=<n> pytest tests/runtime/scheduler/test_simulation.py -k one_seed`.
"""

from __future__ import annotations

import os
import random

import pytest

from ray_async.runtime.scheduler import events as ev
from ray_async.runtime.scheduler import instructions as ins
from ray_async.runtime.scheduler.labels import LabelSelector
from ray_async.runtime.scheduler.placement_groups import GroupState, GroupStrategy
from ray_async.runtime.scheduler.policy.strategies import DEFAULT, SPREAD, NodeAffinity, NodeLabel
from ray_async.runtime.scheduler.resources import EMPTY, ResourceSet
from ray_async.runtime.scheduler.scheduler import Scheduler
from ray_async.runtime.scheduler.settings import SchedulerSettings
from ray_async.runtime.scheduler.specs import ActorSpec, ClassSpec, TaskKind

CPU = ResourceSet.of({"CPU": 1})
REQUESTS = (
    EMPTY,
    ResourceSet.of({"CPU": 0.5}),
    CPU,
    ResourceSet.of({"CPU": 2}),
    ResourceSet.of({"CPU": 1, "GPU": 0.5}),
    ResourceSet.of({"GPU": 1}),
    ResourceSet.of({"CPU": 1, "GPU": 2}),
    ResourceSet.of({"special": 1}),
    ResourceSet.of({"CPU": 1, "absent": 1}),
)
NODE_KINDS = (
    {"CPU": 2},
    {"CPU": 4, "GPU": 2},
    {"CPU": 1, "special": 2, "memory": 1000},
    {"CPU": 3, "GPU": 1},
)


class FakeWorker:
    """A worker as the driver sees it."""

    def __init__(self, slot: int, node_id: str) -> None:
        self.slot, self.node_id = slot, node_id
        self.class_id: int | None = None
        self.actor_id: str | None = None
        self.busy = self.blocked = self.flagged = False
        self.max_tasks = 0
        self.ids: tuple[tuple[str, tuple[int, ...]], ...] | None = None


class FakeDriver:
    """Carries instructions out as real processes would, late and in random order, and feeds events back."""

    def __init__(self, seed: int) -> None:
        self.rng = random.Random(seed)
        self.now = 0.0
        self.scheduler = Scheduler(SchedulerSettings(max_task_workers=self.rng.choice((6, 12, 250)), hold_s=0.2))
        self.workers: dict[int, FakeWorker] = {}
        self.stopping: set[int] = set()
        self.starting: list[tuple[str, str]] = []
        self.dead_nodes: set[str] = set()
        self.nodes: set[str] = set()
        self.queues: dict[int, int] = {}
        self.actors: dict[str, str] = {}
        self.actor_specs: dict[str, ActorSpec] = {}
        self.groups: set[str] = set()
        self.free_slots: list[int] = []
        self.names = 0
        self.revokes: list[tuple[int, bool]] = []
        self.log: list[str] = []

    # -- events in, instructions out ---------------------------------------------------------------------------

    def send(self, event: ev.Event) -> None:
        self.now += self.rng.choice((0.0, 0.0001, 0.003))
        out = self.scheduler.handle(event, self.now)
        self.log.append(f"{self.now:.4f} {event} -> {out}")
        for instruction in out:
            self.obey(instruction)
        check_invariants(self)

    def obey(self, instruction: ins.Instruction) -> None:
        match instruction:
            case ins.StartWorker(node_id, env_key, count):
                assert node_id in self.nodes and count > 0
                self.starting += [(node_id, env_key)] * count
            case ins.Lease():
                worker = self.live(instruction.slot)
                assert worker.class_id is None and worker.actor_id is None, "two leases for a worker"
                assert worker.node_id == instruction.node_id
                worker.class_id, worker.max_tasks = instruction.class_id, instruction.max_tasks
                self.keep_devices(worker, instruction.accelerator_ids)
            case ins.PlaceActor():
                worker = self.live(instruction.slot)
                assert worker.class_id is None and worker.actor_id is None, "two leases for a worker"
                assert self.actors[instruction.actor_id] == "waiting"
                worker.actor_id = instruction.actor_id
                self.actors[instruction.actor_id] = "placed"
                self.keep_devices(worker, instruction.accelerator_ids)
            case ins.Revoke(slot, urgent):
                assert self.live(slot).class_id is not None
                self.revokes.append((slot, urgent))
            case ins.StopWorker(slot) | ins.KillForPlacementGroup(slot):
                assert slot in self.workers
                self.stopping.add(slot)
            case ins.ActorUnschedulable(actor_id):
                assert self.actors.pop(actor_id) == "waiting"
            case ins.ClassUnschedulable(class_id):
                self.queues[class_id] = 0
            case _:
                assert isinstance(
                    instruction,
                    ins.WarnInfeasible
                    | ins.WorkerLimitReached
                    | ins.PlacementGroupReady
                    | ins.PlacementGroupRescheduling,
                )

    def live(self, slot: int) -> FakeWorker:
        assert slot in self.workers, f"an instruction for the dead slot {slot}"
        assert slot not in self.stopping, f"an instruction for the stopped slot {slot}"
        return self.workers[slot]

    @staticmethod
    def keep_devices(worker: FakeWorker, ids: tuple[tuple[str, tuple[int, ...]], ...]) -> None:
        assert worker.ids in (None, ids), "a worker keeps its devices for life"
        worker.ids = ids

    # -- random steps ------------------------------------------------------------------------------------------

    def name(self, prefix: str) -> str:
        self.names += 1
        return f"{prefix}{self.names}"

    def add_node(self) -> None:
        if len(self.nodes) < 4:
            node_id = self.name("node")
            self.nodes.add(node_id)
            labels = {"zone": self.rng.choice("ab")} if self.rng.random() < 0.7 else {}
            self.send(ev.NodeAdded(node_id, self.rng.choice(NODE_KINDS), labels))

    def remove_node(self) -> None:
        if len(self.nodes) > 1:
            node_id = self.rng.choice(sorted(self.nodes))
            self.nodes.discard(node_id)
            self.dead_nodes.add(node_id)
            self.send(ev.NodeRemoved(node_id))

    def random_spec(self) -> dict[str, object]:
        rng = self.rng
        node = rng.choice(sorted(self.nodes))
        strategies = (
            DEFAULT,
            DEFAULT,
            SPREAD,
            NodeAffinity(node),
            NodeAffinity(node, soft=True),
            NodeAffinity(node, soft=True, spill_on_unavailable=True),
            NodeAffinity(node, fail_on_unavailable=True),
            NodeLabel(LabelSelector.parse({"zone": "a"}), LabelSelector()),
        )
        spec: dict[str, object] = {
            "resources": rng.choice(REQUESTS),
            "strategy": rng.choice(strategies),
            "env_key": rng.choice(("", "", "e1", "e2")),
        }
        if rng.random() < 0.2:
            spec["label_selector"] = LabelSelector.parse({"zone": rng.choice(("a", "!a", "in(a,b)", "!in(b)"))})
            spec["fallback"] = rng.choice(((), (LabelSelector(),)))
        if self.groups and rng.random() < 0.4:
            spec["placement_group"] = rng.choice(sorted(self.groups))
            spec["bundle_index"] = rng.choice((-1, 0, 1))
            spec["strategy"] = DEFAULT
        return spec

    def add_class(self) -> None:
        if len(self.queues) < 12:
            class_id = int(self.name(""))
            self.queues[class_id] = 0
            kind = self.rng.choice((TaskKind.SYNC, TaskKind.ASYNC))
            per_worker = 1 if kind is TaskKind.SYNC else 10
            spec = ClassSpec(kind=kind, tasks_per_worker=per_worker, **self.random_spec())  # type: ignore[arg-type]
            self.send(ev.ClassAdded(class_id, spec))

    def push_tasks(self) -> None:
        if self.queues:
            class_id = self.rng.choice(sorted(self.queues))
            self.queues[class_id] += self.rng.choice((1, 2, 5, 30))
            self.send(ev.ClassDemand(class_id, self.queues[class_id]))

    def remove_class(self) -> None:
        idle = [class_id for class_id, queued in self.queues.items() if not queued]
        if len(idle) > 4:
            class_id = self.rng.choice(idle)
            del self.queues[class_id]
            self.send(ev.ClassRemoved(class_id))

    def worker_starts(self) -> None:
        if self.starting:
            node_id, env_key = self.starting.pop(self.rng.randrange(len(self.starting)))
            if self.rng.random() < 0.05:
                self.send(ev.WorkerStartFailed(node_id, env_key))
                return
            slot = self.free_slots.pop() if self.free_slots else int(self.name(""))
            self.workers[slot] = FakeWorker(slot, node_id)
            self.send(ev.WorkerStarted(slot, node_id, env_key))

    def die(self, slot: int) -> None:
        worker = self.workers.pop(slot)
        self.stopping.discard(slot)
        self.revokes = [revoke for revoke in self.revokes if revoke[0] != slot]
        self.free_slots.append(slot)
        self.send(ev.WorkerDied(slot))
        actor_id = worker.actor_id
        if actor_id is not None and actor_id in self.actors:
            del self.actors[actor_id]
            spec = self.actor_specs.pop(actor_id)
            self.send(ev.ActorEnded(actor_id))
            if self.rng.random() < 0.5 and len(self.nodes) > 0:  # a restart: another life, with an id of its own
                self.submit(self.name("actor"), spec)

    def stopped_worker_dies(self) -> None:
        if self.stopping:
            self.die(self.rng.choice(sorted(self.stopping)))

    def worker_killed(self) -> None:
        if self.workers and self.rng.random() < 0.3:
            self.die(self.rng.choice(sorted(self.workers)))

    def running(self) -> list[FakeWorker]:
        live = (worker for slot, worker in sorted(self.workers.items()) if slot not in self.stopping)
        return [worker for worker in live if worker.class_id is not None]

    def worker_steps(self) -> None:
        """A leased worker takes a task, blocks, goes on, or ends its task."""
        running = self.running()
        if not running:
            return
        worker = self.rng.choice(running)
        if worker.blocked:
            worker.blocked = False
            self.send(ev.WorkerUnblocked(worker.slot))
        elif not worker.busy:
            self.take_task(worker)
        elif self.rng.random() < 0.25:
            worker.blocked = True
            self.send(ev.WorkerBlocked(worker.slot))
        else:
            self.end_task(worker)

    def take_task(self, worker: FakeWorker) -> None:
        assert worker.class_id is not None
        if self.queues.get(worker.class_id, 0) > 0:
            self.queues[worker.class_id] -= 1
            worker.busy = True
            self.send(ev.LeaseBusy(worker.slot))
            if worker.class_id in self.queues:
                self.send(ev.ClassDemand(worker.class_id, self.queues[worker.class_id]))
        elif self.rng.random() < 0.2:
            self.give_back(worker)
        else:
            self.send(ev.LeaseIdle(worker.slot))

    def end_task(self, worker: FakeWorker) -> None:
        worker.busy = False
        if worker.flagged or worker.max_tasks:
            self.give_back(worker)
        else:
            self.take_task(worker)

    def give_back(self, worker: FakeWorker) -> None:
        worker.class_id = None
        worker.busy = worker.flagged = False
        self.revokes = [revoke for revoke in self.revokes if revoke[0] != worker.slot]
        self.send(ev.LeaseReturned(worker.slot))

    def honour_revoke(self) -> None:
        if not self.revokes:
            return
        slot, urgent = self.revokes.pop(self.rng.randrange(len(self.revokes)))
        worker = self.workers[slot]
        if slot in self.stopping or worker.class_id is None:
            return
        if not worker.busy:
            self.give_back(worker)
        elif urgent:
            worker.flagged = True
        else:
            self.send(ev.LeaseBusy(slot))

    def submit_actor(self) -> None:
        if len(self.actors) < 20:
            spec = ActorSpec(placement_resources=CPU, **self.random_spec())  # type: ignore[arg-type]
            self.submit(self.name("actor"), spec)

    def submit(self, actor_id: str, spec: ActorSpec) -> None:
        self.actors[actor_id] = "waiting"
        self.actor_specs[actor_id] = spec
        self.send(ev.ActorSubmitted(actor_id, spec))

    def end_actor(self) -> None:
        if self.actors:
            actor_id = self.rng.choice(sorted(self.actors))
            del self.actors[actor_id]
            self.send(ev.ActorEnded(actor_id))

    def block_actor(self) -> None:
        actors = [w for slot, w in sorted(self.workers.items()) if w.actor_id and slot not in self.stopping]
        if actors:
            worker = self.rng.choice(actors)
            worker.blocked = not worker.blocked
            event = ev.WorkerBlocked if worker.blocked else ev.WorkerUnblocked
            self.send(event(worker.slot))

    def create_group(self) -> None:
        if len(self.groups) < 4:
            pg_id = self.name("pg")
            self.groups.add(pg_id)
            count = self.rng.choice((1, 2, 3))
            bundles = tuple(self.rng.choice(REQUESTS[1:8]) for _ in range(count))
            self.send(ev.PlacementGroupCreated(pg_id, bundles, self.rng.choice(list(GroupStrategy))))

    def remove_group(self) -> None:
        if self.groups:
            pg_id = self.rng.choice(sorted(self.groups))
            self.groups.discard(pg_id)
            self.send(ev.PlacementGroupRemoved(pg_id))

    def tick(self) -> None:
        wakeup = self.scheduler.next_wakeup()
        if wakeup is not None and self.rng.random() < 0.7:
            self.now = max(self.now, wakeup)
        self.send(ev.Tick())

    def step(self) -> None:
        steps = (
            (self.worker_steps, 40), (self.worker_starts, 20), (self.push_tasks, 12), (self.honour_revoke, 15),
            (self.stopped_worker_dies, 10), (self.tick, 6), (self.add_class, 4), (self.submit_actor, 4),
            (self.end_actor, 2), (self.block_actor, 2), (self.create_group, 3), (self.remove_group, 1),
            (self.worker_killed, 3), (self.add_node, 2), (self.remove_node, 1), (self.remove_class, 1),
        )  # fmt: skip
        self.rng.choices([step for step, _ in steps], [weight for _, weight in steps])[0]()

    # -- the end -----------------------------------------------------------------------------------------------

    def run_out(self) -> None:
        """Let all queued tasks run; every class that any node could serve gets through its queue."""
        feasible: list[int] = []
        for _ in range(3000):
            feasible = [class_id for class_id, queued in self.queues.items() if queued and self.feasible(class_id)]
            if not feasible:
                return
            for action in (self.worker_starts, self.stopped_worker_dies, self.honour_revoke, self.tick):
                action()
            for worker in self.running():
                if worker.class_id is None or worker.slot in self.stopping:
                    continue
                if worker.blocked:
                    worker.blocked = False
                    self.send(ev.WorkerUnblocked(worker.slot))
                elif worker.busy:
                    self.end_task(worker)
                else:
                    self.take_task(worker)
        raise AssertionError("starved: " + "; ".join(map(self.scheduler.report.explain, feasible)))

    def feasible(self, class_id: int) -> bool:
        return bool(self.scheduler._state.classes[class_id].tiers)

    def drain(self) -> None:
        """End actors and groups, let the tasks run, end the rest; what was taken must all come back."""
        while self.actors:
            self.end_actor()
        while self.groups:
            self.remove_group()
        self.run_out()
        for class_id in sorted(self.queues):
            self.queues[class_id] = 0
            self.send(ev.ClassDemand(class_id, 0))
        for _ in range(10_000):
            if not (self.running() or self.stopping or self.starting or self.revokes):
                break
            for action in (self.worker_starts, self.stopped_worker_dies, self.honour_revoke):
                action()
            for worker in self.running():
                if worker.blocked:
                    worker.blocked = False
                    self.send(ev.WorkerUnblocked(worker.slot))
                if worker.flagged or worker.max_tasks:
                    self.give_back(worker)
                else:
                    worker.busy = False
                    self.send(ev.LeaseIdle(worker.slot))
            self.now += 0.6
            self.send(ev.Tick())
        state = self.scheduler._state
        assert not self.running() and not state.actors and not state.groups and not state.holders
        assert not state.actor_queues
        assert not state.waiting and not state.idle_leases
        for node in state.nodes:
            assert node.pool.available == node.pool.total, node.node_id
            assert state.lease_count == 0
            assert not node.pool.grants and not node.pool.reservations and not node.waiting and not node.starting
            for devices in node.pool.devices.values():
                assert devices.free == devices.capacity
        for slot in sorted(self.workers):
            self.die(slot)
        assert not state.workers and all(node.task_workers == 0 == node.actor_workers for node in state.nodes)


def check_pool(pool) -> None:  # type: ignore[no-untyped-def]
    """Held = total - available, never negative but for unblocked CPU, devices never given twice."""
    held: dict[str, int] = dict.fromkeys(pool.total, 0)
    shares: dict[tuple[str, int], int] = {}
    allocations = [grant.allocation for grant in pool.grants] + list(pool.reservations)
    for allocation in allocations:
        for name in allocation.resources:
            held[name] += allocation.held(name)
        for name, taken in allocation.devices.items():
            for index, units in taken:
                shares[name, index] = shares.get((name, index), 0) + units
    for name, total in pool.total.items():
        assert pool.available[name] == total - held[name], (name, pool.available, held)
        if pool.available[name] < 0:
            assert name == "CPU", f"{name} is overcommitted"
            returning = sum(
                grant.allocation.held("CPU")
                for grant in pool.grants
                if grant.revocation.value == "after its task"
                or type(grant.owner).__name__ == "ActorRecord"
                or not grant.blocked
            )
            assert -pool.available[name] <= returning
    for name, devices in pool.devices.items():
        for index, capacity in devices.capacity.items():
            taken = shares.get((name, index), 0)
            assert taken <= capacity and devices.free[index] == capacity - taken, f"{name} {index} given twice"


def check_workers(driver: FakeDriver) -> None:
    state = driver.scheduler._state
    assert set(state.workers) == set(driver.workers)
    for node in state.nodes:
        kinds = [worker.state.value for worker in node.workers.values()]
        assert node.task_workers == kinds.count("idle") + kinds.count("leased")
        assert node.actor_workers == kinds.count("actor")
        assert len(node.idle_since) == kinds.count("idle") == sum(len(shelf) for shelf in node.idle.values())
        assert node.waiting_count == sum(len(grants) for grants in node.waiting.values())
        starting = [env for node_id, env in driver.starting if node_id == node.node_id]
        assert node.starting == {env: starting.count(env) for env in set(starting)}
        full = node.task_workers + node.starting_count >= state.settings.max_task_workers
        for env, grants in node.waiting.items():
            paused = env in node.start_pauses and driver.scheduler.next_wakeup() is not None
            evictable = node.oldest_idle_except(env, None) is not None
            assert len(grants) <= node.starting.get(env, 0) or paused or (full and not evictable), "no worker starts"
    slots = [grant.slot for node in state.nodes for grant in node.pool.grants if grant.slot is not None]
    assert len(slots) == len(set(slots)), "a worker with two leases"


def check_work_conservation(driver: FakeDriver) -> None:
    """Nobody waits while there is room for it, unless the room is held back or no worker may start."""
    scheduler = driver.scheduler
    state = scheduler._state
    for demand in state.waiting:
        if isinstance(demand.tiers, tuple) and hasattr(demand, "spec"):
            for pool in (pool for tier in demand.tiers for pool in tier):
                room = pool.fits(demand.spec.resources, demand)
                assert not (room and scheduler._dispatcher._has_worker(pool, demand.spec)), scheduler.report.explain(
                    getattr(demand, "class_id", 0)
                )
    for demand in (*state.classes.values(), *state.actor_queues.values(), *state.groups.values()):
        assert demand.wants_more == (demand in state.waiting)
        assert (demand in state.holders) == bool(demand.held_pools)
    for group in state.groups.values():
        if group.state is GroupState.CREATED:
            assert len(group.pools) == len(group.bundles)
            nodes = [pool.node for pool in group.pools.values()]
            if group.strategy is GroupStrategy.STRICT_PACK:
                assert len(set(nodes)) == 1
            if group.strategy is GroupStrategy.STRICT_SPREAD:
                assert len(set(nodes)) == len(nodes)


def check_invariants(driver: FakeDriver) -> None:
    state = driver.scheduler._state
    for node in state.nodes:
        check_pool(node.pool)
    for group in state.groups.values():
        for pool in group.pools.values():
            check_pool(pool)
    check_workers(driver)
    check_work_conservation(driver)


def run_seed(seed: int, steps: int) -> None:
    driver = FakeDriver(seed)
    try:
        driver.add_node()
        for _ in range(steps):
            driver.step()
        driver.drain()
    except Exception as error:
        tail = "\n".join(driver.log[-12:])
        raise AssertionError(f"SEED={seed} failed: {error!r}\nlast events:\n{tail}") from error


@pytest.mark.parametrize("block", range(10))
def test_many_seeds(block: int) -> None:
    for seed in range(block * 30, block * 30 + 30):
        run_seed(seed, steps=200)


def test_one_seed() -> None:
    run_seed(int(os.environ.get("SEED", "4711")), steps=1500)
