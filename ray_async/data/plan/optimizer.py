"""The optimizer: rules that turn a plan into one that means the same and costs less."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from ray_async.data.expressions.reshape import SelectColumns
from ray_async.data.plan import nodes

__all__ = ("optimized",)


def optimized(node: nodes.PlanNode) -> nodes.PlanNode:
    """A plan that means the same.

    - A limit moves before what keeps rows as they are (projections, functions from row to row), and into sources.
    - A filter by an expression moves into a source that can do it.
    - Only the columns that the plan looks at are read.
    """
    return _pruned(_filtered(_limited(node)), None)


def _with_inputs(node: nodes.PlanNode, inputs: Sequence[nodes.PlanNode]) -> nodes.PlanNode:
    if all(new is old for new, old in zip(inputs, node.inputs, strict=True)):
        return node
    changed: Any = {"input": inputs[0]}
    if isinstance(node, (nodes.Union, nodes.Zip)):
        changed = {"parts": tuple(inputs)}
    elif isinstance(node, nodes.Join):
        changed = {"left": inputs[0], "right": inputs[1]}
    return replace(node, **changed)


# Limits


def _limited(node: nodes.PlanNode) -> nodes.PlanNode:
    if isinstance(node, nodes.Limit):
        return _push_limit(_limited(node.input), node.rows)
    return _with_inputs(node, [_limited(part) for part in node.inputs])


def _push_limit(node: nodes.PlanNode, rows: int) -> nodes.PlanNode:
    """A limit in front of a node; what stands below must give its rows in the same order and number."""
    if isinstance(node, nodes.Limit):
        return _push_limit(node.input, min(rows, node.rows))
    if isinstance(node, nodes.Project) or (isinstance(node, nodes.MapRows) and node.kind == "map"):
        return replace(node, input=_push_limit(node.input, rows))
    if isinstance(node, nodes.Union):
        return nodes.Limit(nodes.Union(tuple(_push_limit(part, rows) for part in node.parts)), rows)
    if isinstance(node, nodes.Read):
        first = node.source.first(rows)
        if first is not None:
            node = replace(node, source=first)
    return nodes.Limit(node, rows)


# Filters


def _filtered(node: nodes.PlanNode) -> nodes.PlanNode:
    node = _with_inputs(node, [_filtered(part) for part in node.inputs])
    if not isinstance(node, nodes.Filter) or node.counts_rows or node.runs_functions:
        return node
    below = node.input
    if isinstance(below, nodes.Read):
        narrowed = below.source.where(node.predicate)
        if narrowed is not None:
            return replace(below, source=narrowed)
    if isinstance(below, nodes.Sort):
        return replace(below, input=_filtered(replace(node, input=below.input)))
    if isinstance(below, nodes.Union):
        return replace(below, parts=tuple(_filtered(replace(node, input=part)) for part in below.parts))
    return node


# Columns


def _pruned(node: nodes.PlanNode, needed: frozenset[str] | None) -> nodes.PlanNode:
    """The plan with reads of these columns only; None where all are needed."""
    if isinstance(node, nodes.Read):
        return _read_columns(node, needed)
    if isinstance(node, nodes.Project):
        exprs = node.exprs
        below: frozenset[str] | None = None
        if exprs is not None and isinstance(node.reshape, SelectColumns):
            below = frozenset(node.reshape.names)
        return replace(node, input=_pruned(node.input, below))
    if isinstance(node, nodes.Filter):
        below = None if needed is None else needed | node.predicate.columns()
        return replace(node, input=_pruned(node.input, below))
    if isinstance(node, nodes.Sort):
        return replace(node, input=_pruned(node.input, None if needed is None else needed | set(node.keys)))
    if isinstance(node, nodes.Aggregate):
        return replace(node, input=_pruned(node.input, _aggregate_columns(node)))
    if isinstance(node, (nodes.Limit, nodes.Shuffle)):
        return replace(node, input=_pruned(node.input, needed))
    return _with_inputs(node, [_pruned(part, None) for part in node.inputs])


def _aggregate_columns(node: nodes.Aggregate) -> frozenset[str] | None:
    """What an aggregation reads; None where a function of the user's may read anything."""
    targets = [aggregation.get_target_column() for aggregation in node.aggregations]
    custom = any(
        target is None and not aggregation.counts_rows
        for target, aggregation in zip(targets, node.aggregations, strict=True)
    )
    return None if custom else frozenset([*node.keys, *(target for target in targets if target is not None)])


def _read_columns(node: nodes.Read, needed: frozenset[str] | None) -> nodes.PlanNode:
    schema = node.source.schema()
    if needed is None or schema is None or needed >= set(schema.names):
        return node
    columns = [name for name in schema.names if name in needed]
    narrow = node.source.select(columns) if columns else None
    return node if narrow is None else replace(node, source=narrow)
