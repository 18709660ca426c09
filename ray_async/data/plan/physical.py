"""Physical plans: the stages, operators and options that a logical plan is run by."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from ray_async.data.block.bundle import RowBundle
from ray_async.data.compute import ActorPoolStrategy, Resources, TaskPoolStrategy
from ray_async.data.engine.polars_runs import PolarsRun
from ray_async.data.executor.instructions import (
    BarrierSpec,
    BundlesSpec,
    LimitSpec,
    MapSpec,
    PoolSpec,
    Spill,
    SpillingStrategy,
    StageSpec,
    Strategy,
    UnionSpec,
)
from ray_async.data.expressions.expr import Expr
from ray_async.data.expressions.rows import seeded
from ray_async.data.operators.columns import FilterStep, ReshapeStep
from ray_async.data.operators.function import UserFunction
from ray_async.data.operators.grouping import AggregateStrategy, GroupMap
from ray_async.data.operators.joining import JoinRows, JoinStrategy
from ray_async.data.operators.map_operator import CallOperator, MapOperator, Operator
from ray_async.data.operators.partitioning import PartitionStrategy
from ray_async.data.operators.shuffling import (
    RandomizeBlocksStrategy,
    RandomOrderStrategy,
    RepartitionStrategy,
    even_sizes,
)
from ray_async.data.operators.sorting import BoundedSortStrategy, GroupSortStrategy, SortKeys, SortStrategy
from ray_async.data.operators.steps import BatchMap, ChainStep, RowFilter, RowFlatMap, RowMap
from ray_async.data.operators.writing import WriteStep
from ray_async.data.operators.zipping import ZipStrategy
from ray_async.data.plan import nodes
from ray_async.data.plan.relational import whole_run
from ray_async.data.plan.seeds import seed_of_execution
from ray_async.data.sources.base import Parallelism

__all__ = ("PhysicalPlan", "Planner")


@dataclass
class PhysicalPlan:
    """Stages in an order in which inputs come first; the last one is the result.

    Attributes:
        specs: for the state machine.
        operators: what the calls of each stage run; None for stages without calls.
        options: options of each stage's tasks or actors.
        patience: seconds in which something must happen while it runs; None has no limit.
        own_cpus: CPUs that the actor holds that runs the plan and waits for it; 0 elsewhere.
        in_own_process: whether plain tasks run in that actor's process from the start.
        kept_bytes: free memory that a worker may keep between calls; None for any.
        settles: whether it is over only when calls that were stopped have ended: what a write has left is removed then.
    """

    specs: list[StageSpec] = field(default_factory=list)
    operators: list[Operator | None] = field(default_factory=list)
    options: list[Mapping[str, Any]] = field(default_factory=list)
    patience: float | None = None
    own_cpus: float = 0.0
    in_own_process: bool = False
    kept_bytes: int | None = None
    settles: bool = False

    def add(self, spec: StageSpec, operator: Operator | None = None, options: Mapping[str, Any] | None = None) -> int:
        self.specs.append(spec)
        self.operators.append(operator)
        self.options.append(options or {})
        return len(self.specs) - 1


@dataclass
class _Chain:
    """Maps that run in one call, from the first to the last."""

    base: int | None
    read: nodes.Read | None = None
    steps: list[ChainStep] = field(default_factory=list)
    functions: list[UserFunction] = field(default_factory=list)
    labels: list[str] = field(default_factory=list)
    resources: Resources = field(default_factory=Resources)
    least_rows: int | None = None
    rows_per_call: int | None = None
    keeps_rows: bool = True
    counts_rows: bool = False


class Planner:
    """Makes the stages of a plan.

    Args:
        cpus: CPUs of the session.
        block_bytes: size of a full block.
        call_bytes: size up to which one call does what needs all rows at once.
        engine_bytes: size of files up to which the engine may do what needs all rows, from the scan on; 0 for never.
        execution: how many executions the dataset had before.
        apart: whether each file is read by a call of its own, since calls may fail.
        spill: where rows go that barriers cannot hold in the store; None: they hold all.
    """

    def __init__(
        self,
        cpus: int,
        block_bytes: int,
        call_bytes: int,
        *,
        engine_bytes: int = 0,
        execution: int = 0,
        apart: bool = False,
        spill: Spill | None = None,
    ) -> None:
        self.spill = spill
        self.apart = apart
        self.execution = execution
        self.engine_bytes = engine_bytes
        self.cpus = cpus
        self.block_bytes = block_bytes
        self.call_bytes = call_bytes
        self.plan = PhysicalPlan()
        self._drawn: dict[int, int] = {}

    def compile(self, node: nodes.PlanNode) -> PhysicalPlan:
        """The stages of a plan."""
        self._stage(node, for_functions=False)
        return self.plan

    def _stage(self, node: nodes.PlanNode, *, for_functions: bool = False) -> int:
        """The index of the stage whose output is the node's."""
        run = whole_run(node, self.engine_bytes) if self.engine_bytes else None
        if run is not None:
            return self.plan.add(
                MapSpec(f"{node.label} in Polars", (), (None,)), MapOperator((), PolarsRun(run), self.block_bytes)
            )
        if isinstance(node, nodes.Blocks):
            return self.plan.add(BundlesSpec(node.label, (), tuple(self._bundles(node, for_functions))))
        if isinstance(node, nodes.Union):
            parts = tuple(self._stage(part, for_functions=for_functions) for part in node.parts)
            return self.plan.add(UnionSpec(node.label, parts))
        if isinstance(node, nodes.Limit):
            below = self._stage(node.input, for_functions=for_functions)
            return self.plan.add(LimitSpec(node.label, (below,), node.rows))
        strategy = self._strategy(node)
        if strategy is not None:
            inputs = tuple(self._stage(part) for part in node.inputs)
            return self._barrier(node.label, inputs, strategy)
        return self._close(self._chain(node, for_functions))

    def _barrier(self, name: str, inputs: tuple[int, ...], strategy: Strategy) -> int:
        spill = self.spill if isinstance(strategy, SpillingStrategy) else None
        if spill is not None:
            spill = replace(spill, folder=f"{spill.folder}-{len(self.plan.specs)}")
        if isinstance(strategy, AggregateStrategy) and strategy.first_seen:
            spill = None  # one call looks at all rows
        return self.plan.add(BarrierSpec(name, inputs, strategy, spill), CallOperator())

    def _bundles(self, node: nodes.Blocks, for_functions: bool) -> Sequence[RowBundle]:
        """Bundles that exist, cut so that every CPU gets some, if functions follow and the user did not decide."""
        if node.fixed or not for_functions:
            return node.bundles
        whole = RowBundle.of(node.bundles)
        count = Parallelism(self.cpus, self.block_bytes).count(whole.rows, whole.bytes)
        return whole.cut(even_sizes(whole.rows, count)) if count > len(node.bundles) else node.bundles

    def _strategy(self, node: nodes.PlanNode) -> Strategy | None:
        if isinstance(node, nodes.Sort):
            if node.boundaries is not None:
                return BoundedSortStrategy(SortKeys(node.keys, node.descending), node.boundaries)
            return SortStrategy(SortKeys(node.keys, node.descending), self.block_bytes, self.call_bytes)
        if isinstance(node, nodes.Aggregate):
            return AggregateStrategy(
                node.keys, node.aggregations, node.first_seen, self.call_bytes, min(self.block_bytes, self.call_bytes)
            )
        if isinstance(node, nodes.Shuffle):
            return RandomOrderStrategy(
                seed_of_execution(node.seed, self.execution), node.blocks, self.block_bytes, self.call_bytes
            )
        if isinstance(node, nodes.Repartition):
            if node.keys and node.blocks is not None:
                return PartitionStrategy(node.keys, node.blocks, node.sort)
            return RepartitionStrategy(node.blocks, node.rows)
        if isinstance(node, nodes.RandomizeBlocks):
            return RandomizeBlocksStrategy(seed_of_execution(node.seed, self.execution))
        if isinstance(node, nodes.Zip):
            return ZipStrategy()
        if isinstance(node, nodes.Join):
            sides = (node.left.schema(), node.right.schema())
            join = JoinRows(
                node.left_on,
                node.right_on,
                node.how,
                node.left_suffix,
                node.right_suffix,
                schemas=sides,
                block_bytes=self.block_bytes,
            )
            return JoinStrategy(join, self.call_bytes, min(self.block_bytes, self.call_bytes))
        return None

    # Chains

    def _chain(self, node: nodes.PlanNode, for_functions: bool) -> _Chain:
        """The chain that ends with a node, which is a read or a map."""
        if isinstance(node, nodes.Read):
            rows = node.source.count()
            chain = _Chain(None, read=node, labels=[node.label], resources=node.resources)
            parallelism = self._parallelism(node, for_functions)
            chain.rows_per_call = None if rows is None else rows // max(1, len(node.source.reads(parallelism)))
            return chain
        functional = for_functions or isinstance(node, (nodes.MapRows, nodes.MapBatches)) or node.runs_functions
        if isinstance(node, nodes.MapGroups):
            chain = _Chain(self._groups(node), labels=[])
        else:
            below = node.inputs[0]
            chain = self._chain_below(below, functional)
        self._extend(chain, node)
        return chain

    def _chain_below(self, node: nodes.PlanNode, for_functions: bool) -> _Chain:
        maps = (nodes.Read, nodes.MapRows, nodes.MapBatches, nodes.MapGroups, nodes.Project, nodes.Filter, nodes.Write)
        if isinstance(node, maps):
            return self._chain(node, for_functions)
        return _Chain(self._stage(node, for_functions=for_functions))

    def _parallelism(self, node: nodes.Read, for_functions: bool) -> Parallelism:
        return Parallelism(self.cpus, self.block_bytes, node.blocks, for_functions, self.execution, self.apart)

    def _extend(self, chain: _Chain, node: nodes.PlanNode) -> None:
        """Put a map behind a chain; behind a stage of its own where it cannot run in the same call."""
        resources = getattr(node, "resources", None)
        batch = node.rows if isinstance(node, nodes.MapBatches) else None
        if isinstance(node, nodes.Write):
            batch = node.least_rows
        if chain.steps or chain.read is not None:
            unlike = resources is not None and not chain.resources.fuses_with(resources)
            if unlike and chain.functions == [] and chain.read is None and not _is_pool(resources):
                unlike = False  # columns and filters alone run with whatever follows
            uncounted = node.counts_rows and (chain.read is not None or not chain.keeps_rows)
            if unlike or uncounted or (batch is not None and not self._batch_fits(chain, batch)):
                index = self._close(chain, for_functions=True)
                chain.__dict__.update(_Chain(index).__dict__)
        together = _rows_at_once(node, batch)
        if together is not None and chain.read is None and chain.keeps_rows:
            chain.least_rows = max(together, chain.least_rows or 0)
        if resources is not None and (chain.functions == [] or chain.resources == Resources()):
            chain.resources = resources
        chain.labels.append(node.label)
        function = getattr(node, "function", None)
        if function is not None:
            chain.functions.append(function)
        chain.counts_rows |= node.counts_rows
        chain.steps.append(self._step(node))
        if not isinstance(node, nodes.Project) and not (isinstance(node, nodes.MapRows) and node.kind == "map"):
            chain.keeps_rows = False
            chain.rows_per_call = None

    def _batch_fits(self, chain: _Chain, rows: int) -> bool:
        """Whether the calls of a chain have enough rows for batches of that size."""
        if chain.read is None and chain.keeps_rows:
            return chain.least_rows is None or chain.least_rows % rows == 0
        if chain.keeps_rows and chain.rows_per_call is not None:
            return chain.rows_per_call >= rows
        return False

    def _groups(self, node: nodes.MapGroups) -> int:
        keys = SortKeys(node.keys, (False,) * len(node.keys))
        strategy = GroupSortStrategy(keys, self.block_bytes, self.call_bytes, 2 * self.cpus)
        below = self._stage(node.input)
        return self._barrier(f"Sort({', '.join(node.keys)})", (below,), strategy)

    def _close(self, chain: _Chain, for_functions: bool = False) -> int:
        """The stage of a chain."""
        if not chain.steps and chain.base is not None:
            return chain.base
        for_functions = for_functions or bool(chain.functions)
        name = "->".join(chain.labels)
        options = dict(chain.resources.options)
        if chain.resources.options_function is not None:
            options |= chain.resources.options_function()
        reader = chain.read.source if chain.read is not None else None
        operator = MapOperator(tuple(chain.steps), reader, self.block_bytes, tuple(chain.functions))
        reads: tuple[Any, ...] = ()
        if chain.read is not None:
            reads = tuple(chain.read.source.reads(self._parallelism(chain.read, for_functions)))
        compute = chain.resources.compute
        pool = self._pool(compute, options.get("num_cpus")) if isinstance(compute, ActorPoolStrategy) else None
        streams = pool is not None and any(function.is_generator for function in chain.functions)
        if pool is not None and streams:
            pool = replace(pool, ahead=1)  # a call that waits behind one that pauses could wait for long
        spec = MapSpec(
            name,
            () if chain.base is None else (chain.base,),
            reads,
            chain.least_rows,
            pool,
            compute.size if isinstance(compute, TaskPoolStrategy) else None,
            chain.counts_rows,
            streams,
        )
        return self.plan.add(spec, operator, options)

    def _pool(self, strategy: ActorPoolStrategy, cpus: float | None) -> PoolSpec:
        """A pool whose actors take so many CPUs each: no more of them than have their CPUs at the same time."""
        most, least = strategy.most or max(self.cpus, strategy.least), strategy.least
        if cpus:
            most = min(most, max(1, int(self.cpus / cpus)))
        at_once = strategy.max_concurrent_calls_per_actor or 1
        ahead = strategy.max_tasks_in_flight_per_actor or max(2, 2 * at_once)
        shares = strategy.most is None
        return PoolSpec(min(least, most), most, ahead, at_once, shares=shares, cpus=1.0 if cpus is None else cpus)

    def _step(self, node: nodes.PlanNode) -> ChainStep:
        if isinstance(node, nodes.MapRows):
            kinds: dict[str, type[Any]] = {"map": RowMap, "flat_map": RowFlatMap, "filter": RowFilter}
            return kinds[node.kind](node.function)  # type: ignore[no-any-return]
        if isinstance(node, nodes.MapBatches):
            return BatchMap(node.function, node.rows, node.batch_format, node.writable)
        if isinstance(node, nodes.MapGroups):
            return GroupMap(node.function, node.keys, node.batch_format, node.writable)
        if isinstance(node, nodes.Project):
            return ReshapeStep(node.reshape.seeded(self._seeded), node.counts_rows)
        if isinstance(node, nodes.Filter):
            return FilterStep(self._seeded(node.predicate), node.counts_rows)
        assert isinstance(node, nodes.Write)
        return WriteStep(node.sink)

    def _seeded(self, expr: Expr) -> Expr:
        """An expression with the seeds of this execution."""
        return seeded(expr, self.execution, self._drawn) if expr.counts_rows else expr


def _rows_at_once(node: nodes.PlanNode, batch: int | None) -> int | None:
    """The rows that a call of a node should have: a batch's, or those of as many coroutines as may run at once."""
    compute = getattr(getattr(node, "resources", None), "compute", None)
    function = getattr(node, "function", None)
    at_once = compute.max_concurrent_calls_per_actor if isinstance(compute, ActorPoolStrategy) else None
    if at_once is None or function is None or not function.is_async:
        return batch
    rows = 1 if isinstance(node, nodes.MapRows) else batch
    return None if rows is None else rows * at_once


def _is_pool(resources: Resources | None) -> bool:
    return resources is not None and isinstance(resources.compute, ActorPoolStrategy)
