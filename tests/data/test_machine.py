"""The executor's decisions, in simulation: no process, no time."""

import gc
import heapq
import itertools
import random
import weakref
from collections.abc import Sequence

import pytest

from ray_async.data.block.bundle import Piece, RowBundle
from ray_async.data.executor.balance import PoolLoad, shares_of
from ray_async.data.executor.barrier import BarrierStage
from ray_async.data.executor.instructions import (
    BarrierSpec,
    BarrierStep,
    BundlesSpec,
    Instruction,
    LimitSpec,
    MapSpec,
    PoolSpec,
    Spill,
    StageCall,
    StageResult,
    StageSpec,
    StartActor,
    StartTask,
    Steps,
    StopActor,
    StopTask,
    UnionSpec,
)
from ray_async.data.executor.machine import Limits, Machine


def bundle(label: object, rows: int = 1, size: int = 1) -> RowBundle:
    return RowBundle((Piece(label, 0, rows, size),))


class Simulation:
    """Carries instructions out in an order that a seed decides."""

    def __init__(
        self, specs: Sequence[StageSpec], limits: Limits | None = None, *, rows: int = 1, size: int = 1
    ) -> None:
        self.machine = Machine(specs, limits or Limits(cpus=2))
        self.rows, self.size = rows, size
        self.started: list[StartTask] = []
        self.running: dict[int, StartTask] = {}
        self.stopped: list[int] = []
        self.opening: list[int] = []
        self.actors: set[int] = set()
        self.outputs: list[RowBundle] = []
        self.carry(self.machine.start())

    def carry(self, instructions: Sequence[Instruction]) -> None:
        for instruction in instructions:
            if isinstance(instruction, StartTask):
                assert instruction.actor is None or instruction.actor in self.actors
                self.started.append(instruction)
                self.running[instruction.task] = instruction
            elif isinstance(instruction, StopTask):
                self.stopped.append(instruction.task)
                self.running.pop(instruction.task, None)
            elif isinstance(instruction, StartActor):
                self.opening.append(instruction.actor)
            else:
                assert isinstance(instruction, StopActor)
                self.actors.discard(instruction.actor)
                if instruction.actor in self.opening:
                    self.opening.remove(instruction.actor)

    def finish(self, task: int) -> None:
        start = self.running.pop(task)
        label = start.call.params if not start.call.inputs else tuple(b.pieces[0].handle for b in start.call.inputs)
        rows = sum(b.rows for b in start.call.inputs) or self.rows
        self.carry(self.machine.finished(task, StageResult((bundle(label, rows, self.size),))))

    def open_actors(self) -> None:
        while self.opening:
            actor = self.opening.pop()
            self.actors.add(actor)
            self.carry(self.machine.actor_ready(actor))

    def take(self) -> bool:
        found = self.machine.take()
        if found is not None:
            self.outputs.append(found)
        self.carry(self.machine.taken())
        return found is not None

    def run(self, seed: int = 0) -> list[RowBundle]:
        chance = random.Random(seed)
        while True:
            self.open_actors()
            while self.take():
                pass
            if self.machine.over:
                return self.outputs
            assert self.running, f"stands still with seed {seed}: {self.machine.describe()}"
            self.finish(chance.choice(sorted(self.running)))


def labels(bundles: Sequence[RowBundle]) -> list[object]:
    return [piece.handle for b in bundles for piece in b.pieces]


@pytest.mark.parametrize("seed", range(10))
def test_outputs_keep_the_order_whichever_call_ends_first(seed: int) -> None:
    simulation = Simulation([MapSpec("read", reads=tuple(range(20))), MapSpec("map", (0,)), MapSpec("last", (1,))])
    assert labels(simulation.run(seed)) == [((i,),) for i in range(20)]


def test_no_more_runs_than_the_budget_allows_while_nobody_takes() -> None:
    simulation = Simulation([MapSpec("read", reads=tuple(range(1000)))], Limits(cpus=2, budget=50), size=1)
    while simulation.running:
        simulation.finish(min(simulation.running))
    assert 50 <= len(simulation.started) <= 54
    assert len(simulation.run()) == 1000


def test_every_stage_has_its_share_of_the_budget() -> None:
    specs: list[StageSpec] = [MapSpec("read", reads=tuple(range(1000))), MapSpec("a", (0,)), MapSpec("b", (1,))]
    simulation = Simulation(specs, Limits(cpus=4, budget=30), size=1)
    while simulation.running:
        simulation.finish(min(simulation.running))
    assert len(simulation.started) <= 3 * (10 + 8) + 20
    assert len(simulation.run()) == 1000


def test_one_block_larger_than_the_budget_goes_through() -> None:
    simulation = Simulation([MapSpec("read", reads=(0, 1)), MapSpec("map", (0,))], Limits(cpus=2, budget=10), size=1000)
    assert len(simulation.run()) == 2


def test_a_limit_stops_what_stands_before_it() -> None:
    simulation = Simulation([MapSpec("read", reads=tuple(range(100))), LimitSpec("limit", (0,), 3)], rows=2)
    while not simulation.machine.over:
        while simulation.take():
            pass
        if simulation.running:
            simulation.finish(min(simulation.running))
    assert [b.rows for b in simulation.outputs] == [2, 1] and len(simulation.started) <= 6
    assert set(simulation.stopped) == {start.task for start in simulation.started[2:]}
    assert simulation.machine.running == 0


def test_a_limit_whose_rows_wait_for_the_first_call_starts_no_more() -> None:
    simulation = Simulation([MapSpec("read", reads=tuple(range(100))), LimitSpec("limit", (0,), 8)], rows=2)
    while len(simulation.running) > 1:
        simulation.finish(max(simulation.running))
    assert 5 <= len(simulation.started) <= 8, "four calls give what is wanted, whatever the first one gives"
    assert sum(b.rows for b in simulation.run()) == 8


def test_a_limit_gets_its_rows_although_the_first_call_dies() -> None:
    pool = PoolSpec(least=2, most=2, ahead=2)
    simulation = Simulation([MapSpec("map", reads=tuple(range(100)), pool=pool), LimitSpec("limit", (0,), 6)], rows=2)
    simulation.open_actors()
    while len(simulation.running) > 1:
        simulation.finish(max(simulation.running))
    first = simulation.running.pop(min(simulation.running))
    simulation.actors.discard(first.actor or 0)
    simulation.carry(simulation.machine.actor_lost(first.actor or 0, OSError(), was_ready=True))
    simulation.carry(simulation.machine.failed(first.task, OSError(), actor_died=True))
    assert labels(simulation.run()) == [0, 1, 2]


def test_small_bundles_are_put_together_and_none_is_lost() -> None:
    blocks = tuple(bundle(i, rows=3) for i in range(4))
    simulation = Simulation([BundlesSpec("blocks", (), blocks), MapSpec("map", (0,), least_rows=7)])
    simulation.run()
    assert [sum(b.rows for b in start.call.inputs) for start in simulation.started] == [7, 5]
    large = tuple(bundle(i, rows=3) for i in range(2))
    simulation = Simulation([BundlesSpec("blocks", (), large), MapSpec("map", (0,), least_rows=2)])
    simulation.run()
    assert [sum(b.rows for b in start.call.inputs) for start in simulation.started] == [3, 3]


def test_a_union_gives_its_inputs_one_after_the_other() -> None:
    specs: list[StageSpec] = [
        MapSpec("a", reads=("a1", "a2")),
        MapSpec("b", reads=("b1", "b2")),
        UnionSpec("union", (0, 1)),
    ]
    for seed in range(5):
        assert labels(Simulation(specs).run(seed)) == ["a1", "a2", "b1", "b2"]


class TwoSteps:
    """Reads all, then a call for each, then one call for all of these."""

    def steps(self, inputs: Sequence[Sequence[RowBundle]]) -> Steps:
        results = yield BarrierStep(tuple(StageCall("split", (b,)) for b in inputs[0]))
        yield BarrierStep((StageCall("merge", tuple(result.outputs[0] for result in results)),), last=True)
        return ()


@pytest.mark.parametrize("seed", range(5))
def test_a_barrier_waits_for_all_rows_and_runs_its_steps(seed: int) -> None:
    specs: list[StageSpec] = [MapSpec("read", reads=(0, 1, 2)), BarrierSpec("sort", (0,), TwoSteps())]
    simulation = Simulation(specs)
    assert labels(simulation.run(seed)) == [((0,), (1,), (2,))]
    assert [start.call.params for start in simulation.started][3:] == ["split", "split", "split", "merge"]


class Runs:
    """Inputs that leave the store as they come, two sides of them."""

    def steps(self, inputs: Sequence[Sequence[RowBundle]]) -> Steps:
        yield BarrierStep((StageCall("whole", tuple(b for side in inputs for b in side)),), last=True)
        return ()

    def runs(self, inputs: Sequence[Sequence[RowBundle]]) -> "Runs":
        return self

    def split(self, side: int, first_row: int, folder: str | None) -> object:
        return (side, first_row, folder)

    def merge(self, runs: Sequence[Sequence[StageResult]], folder: str | None) -> Steps:
        sizes = [sum(output.pieces[0].rows for result in side for output in result.outputs) for side in runs]
        yield BarrierStep((StageCall(("merge", *sizes), (bundle("merged", sum(sizes)),)),), last=True)
        return ()


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("limit", [5, 100])
def test_a_barrier_gives_inputs_beyond_its_limit_to_calls_of_their_own(seed: int, limit: int) -> None:
    specs: list[StageSpec] = [
        MapSpec("left", reads=tuple(range(10))),
        BundlesSpec("right", (), (bundle("large", rows=9, size=9),)),
        BarrierSpec("join", (0, 1), Runs(), Spill("folder", limit, run_bytes=3)),
    ]
    simulation = Simulation(specs)
    outputs = simulation.run(seed)
    calls = [start.call for start in simulation.started if start.stage == 2]
    if limit == 100:
        assert [call.params for call in calls] == ["whole"]
        return
    assert [call.params for call in calls[:-1] if call.params[0] == 1] == [(1, row, "folder") for row in (0, 3, 6)]
    lefts = [call for call in calls[:-1] if call.params[0] == 0]
    assert [call.params[1] for call in lefts] == [
        sum(len(c.inputs[0].pieces) for c in lefts[:i]) for i in range(len(lefts))
    ]
    assert labels([call.inputs[0] for call in lefts]) == list(range(10))
    assert calls[-1].params == ("merge", 10, 9) and len(outputs) == 1
    barrier = simulation.machine.stages[2]
    assert isinstance(barrier, BarrierStage) and barrier.writes_files and barrier.calls_over


class Handle:
    """A block that is watched."""


def test_a_barrier_lets_go_of_blocks_that_nobody_needs_any_more() -> None:
    """Of the inputs of calls that have ended, and of outputs that were taken while others are still made."""

    class Last:
        def steps(self, inputs: Sequence[Sequence[RowBundle]]) -> Steps:
            parts = list(inputs[0])
            del inputs
            yield BarrierStep((StageCall("last", (parts.pop(0),)) for _ in range(len(parts))), last=True)
            return ()

    inputs, outputs = [Handle(), Handle()], [Handle(), Handle()]
    seen = [weakref.ref(handle) for handle in (inputs[0], outputs[0])]
    specs: list[StageSpec] = [
        BundlesSpec("blocks", (), tuple(bundle(handle) for handle in inputs)),
        BarrierSpec("sort", (0,), Last()),
    ]
    machine = Machine(specs, Limits())
    first, second = [one for one in machine.start() if isinstance(one, StartTask)]
    machine.finished(first.task, StageResult((bundle(outputs[0]),), value=1))
    assert machine.take() is not None and not machine.over
    del specs, inputs[0], outputs[0], first
    gc.collect()
    assert [reference() for reference in seen] == [None, None]
    machine.finished(second.task, StageResult())
    assert machine.take() is None and machine.over


def test_runs_take_no_more_of_an_input_than_the_next_of_them_needs() -> None:
    specs: list[StageSpec] = [
        MapSpec("read", reads=tuple(range(50))),
        BarrierSpec("sort", (0,), Runs(), Spill("folder", 5, run_bytes=3)),
    ]
    machine = Machine(specs, Limits(cpus=8, budget=20))
    running = [one for one in machine.start() if isinstance(one, StartTask)]
    reads = 0
    while any(start.stage == 0 for start in running):  # no run ever ends
        start = next(start for start in running if start.stage == 0)
        running.remove(start)
        reads += 1
        more = machine.finished(start.task, StageResult((bundle(reads),)))
        running += [one for one in more if isinstance(one, StartTask)]
    # The limit, what its calls may have in hand, and the stage's own share before it: ten bytes each at most.
    assert reads <= 30


class Refusing:
    """A strategy that does not take its inputs."""

    def steps(self, inputs: Sequence[Sequence[RowBundle]]) -> Steps:
        yield from ()
        raise ValueError("these do not go together")


def test_what_a_strategy_refuses_ends_the_plan() -> None:
    simulation = Simulation([MapSpec("read", reads=(0, 1)), BarrierSpec("zip", (0,), Refusing())])
    while simulation.running:
        simulation.finish(min(simulation.running))
    assert simulation.machine.over and str(simulation.machine.error) == "these do not go together"


def test_calls_of_dead_actors_run_again_and_the_pool_is_filled_up() -> None:
    blocks = tuple(bundle(i) for i in range(6))
    specs: list[StageSpec] = [BundlesSpec("blocks", (), blocks), MapSpec("map", (0,), pool=PoolSpec(2, 2))]
    simulation = Simulation(specs)
    simulation.open_actors()
    victim = next(iter(simulation.actors))
    lost = [task for task, start in simulation.running.items() if start.actor == victim]
    simulation.actors.discard(victim)
    simulation.carry(simulation.machine.actor_lost(victim, RuntimeError("died"), was_ready=True))
    for task in lost:
        simulation.running.pop(task)
        simulation.carry(simulation.machine.failed(task, RuntimeError("died"), actor_died=True))
    simulation.open_actors()
    assert len(simulation.actors) == 2
    assert labels(simulation.run()) == [(i,) for i in range(6)]
    assert not simulation.actors


def test_a_deadly_call_ends_the_plan_after_its_attempts_or_is_passed_over() -> None:
    for errored, expected in ((0, None), (-1, [(1,)])):
        blocks = (bundle(0), bundle(1))
        specs: list[StageSpec] = [BundlesSpec("blocks", (), blocks), MapSpec("map", (0,), pool=PoolSpec(1, 1, ahead=1))]
        simulation = Simulation(specs, Limits(cpus=1, errored_blocks=errored, attempts=3))
        for _ in range(20):
            simulation.open_actors()
            deadly = [t for t, s in simulation.running.items() if s.call.inputs[0].pieces[0].handle == 0]
            if not deadly:
                break
            actor = simulation.running.pop(deadly[0]).actor
            assert actor is not None
            simulation.actors.discard(actor)
            error = RuntimeError("died")
            simulation.carry(simulation.machine.actor_lost(actor, error, was_ready=True))
            simulation.carry(simulation.machine.failed(deadly[0], error, actor_died=True))
        if expected is None:
            assert isinstance(simulation.machine.error, RuntimeError) and not simulation.actors
        else:
            assert labels(simulation.run()) == expected and simulation.machine.skipped == 1


def test_a_pool_grows_while_all_are_busy_and_shrinks_at_the_end() -> None:
    blocks = tuple(bundle(i) for i in range(40))
    spec = MapSpec("map", (0,), pool=PoolSpec(1, 4))
    simulation = Simulation([BundlesSpec("blocks", (), blocks), spec], Limits(cpus=4))
    most = 0
    while not simulation.machine.over:
        simulation.open_actors()
        most = max(most, len(simulation.actors))
        while simulation.take():
            pass
        if simulation.running:
            simulation.finish(min(simulation.running))
    assert most == 4 and not simulation.actors


def test_an_error_stops_everything() -> None:
    simulation = Simulation([MapSpec("read", reads=tuple(range(10)))])
    first, *others = sorted(simulation.running)
    simulation.running.pop(first)
    simulation.carry(simulation.machine.failed(first, ValueError("no")))
    assert isinstance(simulation.machine.error, ValueError) and simulation.stopped == others and simulation.machine.over


class Timed:
    """A simulation with a clock: calls and starts of actors take the seconds that their stage says."""

    def __init__(self, specs: Sequence[StageSpec], limits: Limits, seconds: dict[int, float], starts: dict[int, float]):
        self.machine = Machine(specs, limits)
        self.seconds, self.starts = seconds, starts
        self.now = 0.0
        self.events: list[tuple[float, int, int, StartTask | None]] = []
        self.stages: dict[int, int] = {}
        self.queues: dict[int, list[StartTask]] = {}
        self.busy: dict[int, StartTask | None] = {}
        self.opening: set[int] = set()
        self.numbers = itertools.count()
        self.carry(self.machine.start())

    def carry(self, instructions: Sequence[Instruction]) -> None:
        for instruction in instructions:
            if isinstance(instruction, StartActor):
                actor, stage = instruction.actor, instruction.stage
                self.stages[actor], self.queues[actor], self.busy[actor] = stage, [], None
                self.opening.add(actor)
                self.push(self.starts[stage], actor, None)
            elif isinstance(instruction, StopActor):
                del self.stages[instruction.actor]
                self.opening.discard(instruction.actor)
            elif isinstance(instruction, StartTask):
                assert instruction.actor is not None
                self.queues[instruction.actor].append(instruction)
                self.go(instruction.actor)

    def push(self, delay: float, actor: int, task: StartTask | None) -> None:
        heapq.heappush(self.events, (self.now + delay, next(self.numbers), actor, task))

    def go(self, actor: int) -> None:
        if self.busy[actor] is None and self.queues[actor]:
            task = self.busy[actor] = self.queues[actor].pop(0)
            self.push(self.seconds[task.stage], actor, task)

    def idle_cpus(self) -> int:
        """CPUs on which no actor works or starts."""
        used = sum(1 for actor in self.stages if actor in self.opening or self.busy[actor] is not None)
        return self.machine.limits.cpus - used

    def step(self) -> None:
        self.now, _, actor, task = heapq.heappop(self.events)
        if task is None:
            if actor in self.stages:
                self.opening.discard(actor)
                self.carry(self.machine.actor_ready(actor))
            return
        self.busy[actor] = None
        self.carry(self.machine.finished(task.task, StageResult((bundle(0),), None, self.seconds[task.stage])))
        if actor in self.stages:
            self.go(actor)

    def drain(self) -> int:
        count = 0
        while self.machine.take() is not None:
            count += 1
            self.carry(self.machine.taken())
        self.carry(self.machine.taken())
        return count

    def sizes(self) -> tuple[int, int]:
        return tuple(sum(1 for stage in self.stages.values() if stage == index) for index in (1, 2))  # type: ignore[return-value]


def test_two_pools_share_the_cpus_by_what_their_blocks_cost() -> None:
    blocks = tuple(bundle(i) for i in range(2000))
    pool = PoolSpec(1, 8, shares=True)
    specs: list[StageSpec] = [
        BundlesSpec("blocks", (), blocks),
        MapSpec("first", (0,), pool=pool),
        MapSpec("second", (1,), pool=pool),
    ]
    simulation = Timed(specs, Limits(cpus=8, budget=1 << 30), {1: 0.17, 2: 0.21}, {1: 0.0, 2: 5.0})
    best = min(2000 * max(0.17 / count, 0.21 / (8 - count)) for count in range(1, 8))
    outputs, sizes = 0, (0, 0)
    while True:
        outputs += simulation.drain()
        if simulation.machine.over:
            break
        first, second = (simulation.machine.stages[index] for index in (1, 2))
        if simulation.machine.stages[0].waiting:
            sizes = simulation.sizes()
        passes = simulation.events[0][0] > simulation.now
        if passes and (first.has_call or second.has_call):
            assert simulation.idle_cpus() <= 0, (simulation.now, simulation.sizes())
        simulation.step()
    assert outputs == 2000 and simulation.now <= 1.2 * best and not simulation.stages
    assert sizes in ((4, 4), (3, 5), (5, 3))


@pytest.mark.parametrize(
    ("loads", "cpus", "expected"),
    [
        ([(1, 0.0, 0, 0), (1, 0.0, 0, 0)], 8, [4, 4]),
        ([(1, 1.7, 10, 10), (1, 2.1, 10, 10)], 8, [4, 4]),
        ([(1, 1.0, 10, 10), (1, 3.0, 10, 10)], 8, [2, 6]),
        ([(1, 1.0, 10, 100), (1, 1.0, 10, 10)], 11, [1, 10]),
        ([(3, 1.0, 10, 10), (1, 99.0, 10, 10)], 4, [3, 1]),
        ([(2, 1.0, 10, 10), (2, 1.0, 10, 10)], 2, [2, 2]),
        ([(1, 1.0, 10, 10)], 2, [2]),
    ],
)
def test_shares_of_pools(loads: list[tuple[int, float, int, int]], cpus: int, expected: list[int]) -> None:
    assert shares_of([PoolLoad(*load) for load in loads], cpus) == expected


def test_calls_that_stream_pause_and_repeat_without_doubles() -> None:
    blocks = tuple(bundle(i) for i in range(2))
    spec = MapSpec("map", (0,), pool=PoolSpec(2, 2, ahead=1), streams=True)
    simulation = Simulation([BundlesSpec("blocks", (), blocks), spec], Limits(cpus=2, budget=3))
    machine = simulation.machine
    simulation.open_actors()
    first, second = sorted(simulation.running)

    def give(task: int, label: str) -> None:
        simulation.carry(machine.output(task, StageResult((bundle(label),))))

    for number in range(3):
        give(second, f"b{number}")
    assert not machine.wants(second) and machine.wants(first)
    give(first, "a0")
    assert simulation.take() and labels(simulation.outputs) == ["a0"]
    actor = simulation.running.pop(first).actor
    assert actor is not None
    error = RuntimeError("died")
    simulation.actors.discard(actor)
    simulation.carry(machine.actor_lost(actor, error, was_ready=True))
    simulation.carry(machine.failed(first, error, actor_died=True))
    simulation.open_actors()
    (again,) = set(simulation.running) - {second}
    give(again, "a0 anew")
    give(again, "a1")
    for task in (again, second):
        simulation.running.pop(task)
        simulation.carry(machine.finished(task, StageResult()))
    while simulation.take():
        pass
    assert labels(simulation.outputs) == ["a0", "a1", "b0", "b1", "b2"] and machine.over
