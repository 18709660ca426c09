"""The state machine of a running plan: events in, instructions out. It does no I/O and knows no time.

Rules:

- Stages are served from the end of the plan to its beginning: what is nearly done goes first.
- A stage starts no call while the outputs that nobody has taken, and those expected of its running calls, exceed its
  share of the budget. So memory is bounded by the budget, whatever the plan and whoever pauses. A stage that holds and
  runs nothing may always start one call, so a plan never stands still.
- No task waits inside a worker for credit: it runs to its end. So stages cannot lock each other out. Calls of actors
  that stream pause between two outputs while their stage has more than its share, but for the one whose outputs come
  next.
- Outputs keep the order of the inputs.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ray_async.data.block.bundle import RowBundle
from ray_async.data.executor.balance import PoolLoad, shares_of
from ray_async.data.executor.barrier import BarrierStage
from ray_async.data.executor.instructions import (
    BundlesSpec,
    Instruction,
    LimitSpec,
    MapSpec,
    StageResult,
    StageSpec,
    StartTask,
    StopTask,
    UnionSpec,
)
from ray_async.data.executor.pools import StagePool
from ray_async.data.executor.stages import (
    BundlesStage,
    CallStage,
    LimitStage,
    MapStage,
    Slot,
    Stage,
    UnionStage,
)

__all__ = ("Limits", "Machine")


@dataclass(frozen=True)
class Limits:
    """What a plan may use.

    Attributes:
        cpus: calls that run at the same time.
        budget: bytes of blocks between the stages, all together.
        errored_blocks: failed calls to pass over; -1 for any number.
        attempts: how often a call is run whose actor dies.
    """

    cpus: int = 2
    budget: int = 128 << 20
    errored_blocks: int = 0
    attempts: int = 4


class Machine:
    """The decisions of one execution.

    Args:
        specs: the physical plan; inputs come before the stages that read them, and the last stage is the result.
        limits: what it may use.

    Attributes:
        error: what made the plan fail; None while it has not.
    """

    def __init__(self, specs: Sequence[StageSpec], limits: Limits) -> None:
        self.limits = limits
        self.stages: list[Stage] = []
        for spec in specs:
            self.stages.append(_stage_of(spec, [self.stages[index] for index in spec.inputs]))
        self.error: BaseException | None = None
        self.skipped = 0
        self._pools = {
            index: StagePool(index, spec.pool)
            for index, spec in enumerate(specs)
            if isinstance(spec, MapSpec) and spec.pool is not None
        }
        self._tasks: dict[int, tuple[int, Slot]] = {}
        self._ids = 0
        calling = [stage for stage in self.stages if isinstance(stage, CallStage)]
        self._share = max(1, limits.budget // max(1, len(calling)))

    # Events

    def start(self) -> list[Instruction]:
        """Begin."""
        return self._decide()

    def finished(self, task: int, result: StageResult) -> list[Instruction]:
        """A call has ended."""
        entry = self._tasks.pop(task, None)
        if entry is None or self.error is not None:
            return []
        index, slot = entry
        self._stage(index).finish(slot, result)
        self._free(index, task)
        return self._decide()

    def output(self, task: int, result: StageResult) -> list[Instruction]:
        """A call that streams has given an output, and goes on."""
        entry = self._tasks.get(task)
        if entry is None or self.error is not None:
            return []
        index, slot = entry
        self._stage(index).output(slot, result)
        return self._decide()

    def failed(
        self, task: int, error: BaseException, *, actor_died: bool = False, began: bool = True
    ) -> list[Instruction]:
        """A call has raised; or its actor has died, after which it may be run again.

        Args:
            task: the call's.
            error: what it raised.
            actor_died: whether its actor has died.
            began: whether the call had begun then; what only waited has not spent an attempt.
        """
        entry = self._tasks.pop(task, None)
        if entry is None or self.error is not None:
            return []
        index, slot = entry
        stage = self._stage(index)
        self._free(index, task)
        slot.attempts += began
        if actor_died and slot.attempts < self.limits.attempts:
            stage.repeat(slot)
            return self._decide()
        if isinstance(stage, MapStage) and self._may_skip():
            self.skipped += 1
            stage.skip(slot)
            return self._decide()
        return self.fail(error)

    def actor_ready(self, actor: int) -> list[Instruction]:
        """An actor can take calls."""
        for pool in self._pools.values():
            pool.ready(actor)
        return self._decide()

    def actor_lost(self, actor: int, error: BaseException, *, was_ready: bool) -> list[Instruction]:
        """An actor has died, or could not be made. Its calls fail by themselves."""
        for pool in self._pools.values():
            pool.lost(actor)
        if not was_ready:
            return self.fail(error)
        return self._decide() if self.error is None else []

    def taken(self) -> list[Instruction]:
        """The consumer has taken outputs."""
        return self._decide() if self.error is None else []

    def fail(self, error: BaseException) -> list[Instruction]:
        """Give the plan up."""
        if self.error is not None:
            return []
        self.error = error
        return self.stop()

    def stop(self) -> list[Instruction]:
        """End all that runs."""
        self.stages[-1].stop()
        tasks, self._tasks = list(self._tasks), {}
        instructions: list[Instruction] = [StopTask(task) for task in tasks]
        for pool in self._pools.values():
            instructions += pool.end()
        return instructions

    # State

    def take(self) -> RowBundle | None:
        """The next bundle of the result, if it is there; say `taken` afterwards."""
        return self.stages[-1].take()

    @property
    def over(self) -> bool:
        """Whether no output will come any more."""
        return self.error is not None or self.stages[-1].over

    def has_credit(self, stage: CallStage) -> bool:
        """Whether a stage may start calls as far as memory goes."""
        return self._has_credit(stage)

    def actors_of(self, index: int) -> int | None:
        """Actors of a stage's pool; None where it has none."""
        pool = self._pools.get(index)
        return None if pool is None else len(pool)

    @property
    def running(self) -> int:
        """Calls that run, or wait for a worker."""
        return len(self._tasks)

    def calls(self) -> dict[str, list[int]]:
        """The calls that run, or wait for a worker, by the names of their stages."""
        found: dict[str, list[int]] = {}
        for task, (index, _) in self._tasks.items():
            found.setdefault(self.stages[index].name, []).append(task)
        return found

    def wants(self, task: int) -> bool:
        """Whether a call that streams should give its next output; else it is to pause."""
        entry = self._tasks.get(task)
        return entry is None or self._stage(entry[0]).wants(entry[1], self._share)

    def describe(self) -> str:
        """Where each stage stands, for a person."""
        return "; ".join(
            f"{stage.name}: {'over' if stage.over else 'not over'}, {stage.counts.rows} rows given"
            for stage in self.stages
        )

    # Decisions

    def _stage(self, index: int) -> CallStage:
        stage = self.stages[index]
        assert isinstance(stage, CallStage)
        return stage

    def _free(self, index: int, task: int) -> None:
        if index in self._pools:
            self._pools[index].done(task)

    def _may_skip(self) -> bool:
        return self.limits.errored_blocks < 0 or self.skipped < self.limits.errored_blocks

    def _decide(self) -> list[Instruction]:
        instructions: list[Instruction] = []
        instructions += self._stopped_tasks()
        while True:
            started = False
            for index in range(len(self.stages) - 1, -1, -1):
                stage = self.stages[index]
                if not isinstance(stage, CallStage):
                    continue
                try:
                    started |= self._serve(index, stage, instructions)
                except Exception as error:  # a strategy's, of inputs that do not go together
                    error.add_note(f"in stage {stage.name}")
                    return [*instructions, *self.fail(error)]
            if not started:
                break
        for index, pool in self._pools.items():
            stage = self._map_stage(index)
            instructions += pool.retired()
            instructions += pool.shrink(stage.exhausted and not stage.again)
        instructions += self._rebalance()
        return instructions

    # Pools that share the CPUs

    def _shares(self) -> dict[int, int]:
        """Actors for each of the pools that share the CPUs and still have calls to come."""
        active = [
            index for index, pool in self._pools.items() if pool.spec.shares and not self._map_stage(index).exhausted
        ]
        loads = []
        for index in active:
            counts = self.stages[index].counts
            loads.append(PoolLoad(self._pools[index].spec.least, counts.seconds, counts.rows_in, counts.rows_given))
        return dict(zip(active, shares_of(loads, self.limits.cpus), strict=True)) if active else {}

    def _room(self, index: int, pool: StagePool) -> int:
        """Actors that a pool may start beyond its least number."""
        if not pool.spec.shares:
            return pool.spec.most
        room = self.limits.cpus - sum(len(other) for other in self._pools.values() if other.spec.shares)
        if room > 0 and any(self._is_short(other) for other in self._pools if other != index):
            room = min(room, self._shares().get(index, 0) - pool.size)
        return room

    def _is_short(self, index: int) -> bool:
        """Whether a pool that shares the CPUs has work that its actors do not get to."""
        pool = self._pools[index]
        return pool.spec.shares and pool.all_busy and self._map_stage(index).has_call

    def _rebalance(self) -> list[Instruction]:
        """Let an actor go of a pool that has more than its share, for one that has less and too much work."""
        if sum(pool.spec.shares for pool in self._pools.values()) < 2:
            return []
        total = sum(len(pool) for pool in self._pools.values() if pool.spec.shares)
        short = [index for index in self._pools if self._is_short(index)]
        if total < self.limits.cpus or not short:
            return []
        shares = self._shares()
        if not any(self._pools[index].size < shares.get(index, 0) for index in short):
            return []
        for index, share in shares.items():
            if self._pools[index].size > share:
                return self._pools[index].retire()
        return []

    def _map_stage(self, index: int) -> MapStage:
        stage = self.stages[index]
        assert isinstance(stage, MapStage)
        return stage

    def _stopped_tasks(self) -> list[Instruction]:
        """Stops for the calls of stages that nobody wants anything of any more."""
        left = [task for task, (index, _) in self._tasks.items() if self._stage(index).stopped]
        for task in left:
            index, slot = self._tasks.pop(task)
            self._stage(index).running.discard(slot)
            self._free(index, task)
        return [StopTask(task) for task in left]

    def _serve(self, index: int, stage: CallStage, instructions: list[Instruction]) -> bool:
        """Start what a stage may start; whether there was anything."""
        if isinstance(stage, BarrierStage):
            stage.gather()
        pool = self._pools.get(index)
        started = False
        while self._has_credit(stage) and self._has_place(index, stage):
            if pool is not None:
                instructions += pool.grow(self._wants_actor(stage), self._room(index, pool))
                actor = pool.free_actor()
                if actor is None:
                    break
            slot = stage.next_slot()
            if slot is None:
                break
            self._ids += 1
            stage.running.add(slot)
            self._tasks[self._ids] = (index, slot)
            if pool is not None:
                pool.give(self._ids)
            actor = pool.actor_of(self._ids) if pool is not None else None
            instructions.append(StartTask(self._ids, index, slot.call, actor))
            started = True
        return started

    def _has_credit(self, stage: CallStage) -> bool:
        if stage.again or (not stage.running and not stage.held):
            return True
        return stage.expected() < self._share

    def _has_place(self, index: int, stage: CallStage) -> bool:
        if index in self._pools:
            return True  # its actors are its places
        if isinstance(stage, MapStage):
            most = stage.spec.most_at_once
            if most is not None and len(stage.running) >= most:
                return False
        tasks = sum(1 for other, _ in self._tasks.values() if other not in self._pools)
        busy = sum(pool.busy * pool.spec.cpus for pool in self._pools.values())
        # One more for each CPU waits at its worker, so that none idles while the machine is told of an end.
        return tasks < max(1, self.limits.cpus - busy) + self.limits.cpus

    def _wants_actor(self, stage: CallStage) -> bool:
        assert isinstance(stage, MapStage)
        return bool(stage.again) or not stage.exhausted


def _stage_of(spec: StageSpec, inputs: Sequence[Stage]) -> Stage:
    """The state of a stage that has not begun."""
    if isinstance(spec, BundlesSpec):
        return BundlesStage(spec)
    if isinstance(spec, MapSpec):
        return MapStage(spec, inputs)
    if isinstance(spec, LimitSpec):
        return LimitStage(spec, inputs)
    if isinstance(spec, UnionSpec):
        return UnionStage(spec, inputs)
    return BarrierStage(spec, inputs)
