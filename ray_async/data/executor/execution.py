"""Executions: a logical plan run, in the calling thread or on workers, for consumers of either kind."""

from __future__ import annotations

import asyncio
import os
import time
import uuid
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from math import inf
from typing import Any

import ray_async as ray
from ray_async.data.aggregate.custom import AggregateFn, AggregateFnV2
from ray_async.data.block.bundle import RowBundle
from ray_async.data.context import DataContext
from ray_async.data.executor.inline import run_inline
from ray_async.data.executor.instructions import Spill
from ray_async.data.executor.machine import Limits, Machine
from ray_async.data.executor.own_process import cpus_of_actor
from ray_async.data.executor.pump import Pump
from ray_async.data.executor.remote import RemoteExecution
from ray_async.data.executor.room import Room
from ray_async.data.operators.exchange import ROW_BYTES
from ray_async.data.plan import nodes
from ray_async.data.plan.optimizer import optimized
from ray_async.data.plan.physical import PhysicalPlan, Planner
from ray_async.data.progress.live import LiveProgress, wanted_display
from ray_async.data.progress.meter import Meter

__all__ = ("Execution", "Run")

STORE_SHARE = 0.4
MAX_CALL_BYTES = 1 << 30
MAX_RUN_BYTES = 128 << 20


@dataclass
class Run:
    """What is known of one run of a plan.

    Attributes:
        machine: the state machine, with the counts of all stages.
        inline: whether it ran in the calling process.
        began: `time.perf_counter` at its start.
        ended: the same at its end; None while it runs.
        complete: whether all was consumed.
        meter: what each stage waited for; None of a run in the calling process.
    """

    machine: Machine
    inline: bool
    began: float = field(default_factory=time.perf_counter)
    ended: float | None = None
    complete: bool = False
    meter: Meter | None = None


class Execution:
    """The execution of a logical plan.

    Args:
        node: the plan.
        context: settings.
        number: how many executions the dataset had before.
        title: the dataset's name, for progress.

    Attributes:
        run: statistics of it, once it has begun.
    """

    def __init__(self, node: nodes.PlanNode, context: DataContext, number: int = 0, title: str = "") -> None:
        self._number = number
        self._title = title
        self._progress: LiveProgress | None = None
        self._context = context
        self._node = optimized(node)
        self.inline = _only_passes_on(self._node) or _work(self._node) <= context.inline_bytes
        self.run: Run | None = None

    def bundles(self, ahead: int = 1) -> Iterator[RowBundle]:
        """The bundles of the result for a thread, as they are ready."""
        if self.inline:
            return self._inline()
        plan, limits = self._remote_plan()
        return self._pumped(plan, limits, ahead)

    def all(self) -> list[RowBundle]:
        """All bundles of the result."""
        if self.inline:
            return list(self._inline())
        if _runs_a_loop():
            return list(self.bundles(ahead=1 << 30))
        return asyncio.run(self._collected())

    async def stream(self) -> AsyncIterator[RowBundle]:
        """The bundles of the result for a coroutine."""
        if self.inline:
            for found in self._inline():
                yield found
            return
        plan, limits = self._remote_plan()
        async with RemoteExecution(plan, limits, self._watch) as execution:
            self._begin(execution.machine)
            while (bundle := await execution.next()) is not None:
                yield bundle
            self._end()

    async def _collected(self) -> list[RowBundle]:
        return [bundle async for bundle in self.stream()]

    def _pumped(self, plan: PhysicalPlan, limits: Limits, ahead: int) -> Iterator[RowBundle]:
        yield from Pump(plan, limits, ahead, self._begin, self._watch)
        self._end()

    @property
    def _may_fail(self) -> bool:
        """Whether calls may fail without failing the execution."""
        return self._context.max_errored_blocks != 0

    def _inline(self) -> Iterator[RowBundle]:
        cpus = 1
        block_bytes = self._context.target_max_block_size or MAX_CALL_BYTES
        planner = Planner(cpus, block_bytes, MAX_CALL_BYTES, execution=self._number, apart=self._may_fail)
        plan = planner.compile(self._node)
        machine = Machine(plan.specs, Limits(cpus, MAX_CALL_BYTES, self._context.max_errored_blocks))
        self._begin(machine, inline=True)
        yield from run_inline(machine, plan.operators)
        self._end()

    def _remote_plan(self) -> tuple[PhysicalPlan, Limits]:
        if not ray.is_initialized():
            ray.init()
        resources = _cluster()
        asked = self._context.execution_options.resource_limits
        cpus = max(1, int(asked.cpu if asked.cpu is not None else resources.get("CPU", 1)))
        store = int(resources.get("object_store_memory", 1 << 30))
        budget = int(asked.object_store_memory) if asked.object_store_memory is not None else int(store * STORE_SHARE)
        target = self._context.target_max_block_size
        room = Room.of(store, budget, cpus, _barriers(self._node), target, MAX_CALL_BYTES, MAX_RUN_BYTES)
        planner = Planner(
            cpus,
            room.block,
            room.call,
            engine_bytes=min(MAX_CALL_BYTES, max(1 << 20, store // 4)),
            execution=self._number,
            apart=self._may_fail,
            spill=Spill(_spill_folder(), room.gathered, room.run, ROW_BYTES),
        )
        plan = planner.compile(self._node)
        plan.kept_bytes = room.kept
        plan.settles = isinstance(self._node, nodes.Write)
        plan.patience = self._context.execution_no_progress_timeout_s
        plan.own_cpus = cpus_of_actor()
        plan.in_own_process = plan.own_cpus > 0 and ray.available_resources().get("CPU", 0.0) < 1
        return plan, Limits(cpus, budget, self._context.max_errored_blocks)

    def _watch(self, machine: Machine) -> LiveProgress:
        """Progress of a run on workers, measured always and shown where it is asked for."""
        context = self._context
        self._progress = LiveProgress(
            machine, wanted_display(context), self._title, each=context.enable_operator_progress_bars
        )
        return self._progress

    def _begin(self, machine: Machine, *, inline: bool = False) -> None:
        self.run = Run(machine, inline, meter=None if self._progress is None else self._progress.meter)

    def _end(self) -> None:
        if self.run is not None:
            self.run.ended = time.perf_counter()
            self.run.complete = True


def _runs_a_loop() -> bool:
    """Whether an event loop runs in this thread; asked apart, so that no error of a run has this one as its context."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True


def _spill_folder() -> str:
    """A folder that does not exist, on the disk that the session spills to."""
    return os.path.join(ray.get_runtime_context().get_spill_dir(), f"data-{uuid.uuid4().hex}")


_seen: list[tuple[float, Any, dict[str, float]]] = []


def _cluster() -> dict[str, float]:
    """The session's resources, asked for at most once a second: it takes a trip to the node."""
    job, now = ray.get_runtime_context().get_job_id(), time.monotonic()
    if not _seen or now - _seen[0][0] > 1 or _seen[0][1] != job:
        _seen[:] = [(now, job, ray.cluster_resources())]
    return _seen[0][2]


def _barriers(node: nodes.PlanNode) -> int:
    """Nodes of a plan that need all rows of their inputs."""
    gathering = (nodes.Sort, nodes.Aggregate, nodes.Shuffle, nodes.Repartition, nodes.Join, nodes.MapGroups)
    return isinstance(node, gathering) + sum(_barriers(part) for part in node.inputs)


def _work(node: nodes.PlanNode) -> float:
    """Bytes that the plan has to look at; infinite where functions of the user's run, or where nobody knows."""
    if isinstance(node, (nodes.MapRows, nodes.MapBatches, nodes.MapGroups)) or node.runs_functions:
        return inf
    if isinstance(node, nodes.Aggregate) and any(
        isinstance(aggregation, (AggregateFn, AggregateFnV2)) for aggregation in node.aggregations
    ):
        return inf
    if isinstance(node, nodes.Read):
        size = node.source.size()
        return inf if size is None else size
    if isinstance(node, nodes.Blocks):
        return sum(bundle.bytes for bundle in node.bundles)
    return sum(_work(part) for part in node.inputs)


def _only_passes_on(node: nodes.PlanNode) -> bool:
    """Whether no call is made for it: bundles that exist are cut and passed on."""
    passing = (nodes.Blocks, nodes.Limit, nodes.Union, nodes.Repartition, nodes.RandomizeBlocks)
    return isinstance(node, passing) and all(_only_passes_on(part) for part in node.inputs)
