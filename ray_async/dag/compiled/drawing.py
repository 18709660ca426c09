"""Drawings of compiled graphs: as text, and in Graphviz's language."""

from __future__ import annotations

from pathlib import Path

from ray_async.dag.compiled.plan import GraphPlan
from ray_async.dag.plot import to_dot, write_dot

__all__ = ("draw",)


def draw(plan: GraphPlan, filename: str, format: str, view: bool, channel_details: bool) -> str:
    """Draw a graph; see `CompiledDAG.visualize`."""
    if format == "ascii":
        return _as_text(plan)
    source = to_dot(plan.nodes, edge_labels=channel_details)
    if format == "dot":
        Path(f"{filename}.dot").write_text(source)
    else:
        write_dot(source, filename, format, view)
    return source


def _as_text(plan: GraphPlan) -> str:
    numbers = {id(node): number for number, node in enumerate(plan.nodes)}
    lines = []
    for number, node in enumerate(plan.nodes):
        upstream = ", ".join(str(numbers[id(before)]) for before in node._upstream)
        lines.append(f"{number}: {node._label()}" + (f" <- {upstream}" if upstream else ""))
    for number, actor in enumerate(plan.actors):
        lines.append(f"actor {number}: " + ", ".join(step.label for step in actor.steps))
    return "\n".join(lines)
