"""Explanations of plans, for people."""

from __future__ import annotations

from ray_async.data.context import DataContext
from ray_async.data.executor.execution import Execution
from ray_async.data.executor.instructions import BarrierSpec, MapSpec, StageSpec
from ray_async.data.plan import nodes
from ray_async.data.plan.optimizer import optimized
from ray_async.data.plan.physical import Planner

__all__ = ("explained", "outline")


def outline(node: nodes.PlanNode) -> str:
    """A plan in one line, the last step first."""
    inside = ", ".join(outline(part) for part in node.inputs)
    return f"{node.label}({inside})" if inside else node.label


def explained(node: nodes.PlanNode, context: DataContext) -> str:
    """The logical plan, the optimized one and the physical one, without running anything."""
    better = optimized(node)
    planner = Planner(2, context.target_max_block_size or 1 << 30, 1 << 30, engine_bytes=1 << 30)
    plan = planner.compile(better)
    stages = [f"  {index}: {_stage(spec)}" for index, spec in enumerate(plan.specs)]
    where = "in the calling process" if Execution(node, context).inline else "on workers"
    return "\n".join(
        ["Logical plan:", *_tree(node), "Optimized plan:", *_tree(better), f"Physical plan, {where}:", *stages]
    )


def _tree(node: nodes.PlanNode, depth: int = 1) -> list[str]:
    lines = [f"{'  ' * depth}{node.label}{_details(node)}"]
    for part in node.inputs:
        lines += _tree(part, depth + 1)
    return lines


def _details(node: nodes.PlanNode) -> str:
    columns = node.columns()
    count = node.count()
    known = [] if columns is None else [f"columns: {', '.join(columns)}"]
    known += [] if count is None else [f"{count} rows"]
    return f"  [{'; '.join(known)}]" if known else ""


def _stage(spec: StageSpec) -> str:
    text = spec.name
    if isinstance(spec, MapSpec):
        if spec.reads:
            text += f", {len(spec.reads)} reads"
        if spec.pool is not None:
            text += f", {spec.pool.least} to {spec.pool.most} actors"
        if spec.least_rows is not None:
            text += f", calls of {spec.least_rows} rows at least"
    if isinstance(spec, BarrierSpec):
        text += ", needs all rows first"
    if spec.inputs:
        text += f"  <- {', '.join(map(str, spec.inputs))}"
    return text
