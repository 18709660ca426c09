"""Relational runs: the parts of a plan that an engine does as a whole, from the scan to the result."""

from __future__ import annotations

import pyarrow as pa

from ray_async.data.engine.joining import joined_names
from ray_async.data.engine.polars_runs import can_run
from ray_async.data.engine.relation import Grouped, Head, Joined, Projected, Relation, Scan, Sorted, Where
from ray_async.data.expressions.expr import col
from ray_async.data.plan import nodes
from ray_async.data.sources.parquet import ParquetSource

__all__ = ("whole_run",)


def whole_run(node: nodes.PlanNode, limit: int) -> Relation | None:
    """A plan as one relation, if the engine gives the same rows for it.

    Args:
        node: the plan.
        limit: bytes of its files up to which one call does what has to hold them.
    """
    if not _worthwhile(node):
        return None
    relation = _relation(node)
    if relation is None or (_holds_rows(relation) and _bytes(relation) > limit):
        return None
    return relation if can_run(relation) else None


def _worthwhile(node: nodes.PlanNode) -> bool:
    """Whether there is anything in it that needs all rows; what does not is streamed, in parallel."""
    if isinstance(node, (nodes.Sort, nodes.Aggregate, nodes.Join)):
        return True
    return isinstance(node, (nodes.Filter, nodes.Project, nodes.Limit)) and _worthwhile(node.inputs[0])


def _holds_rows(relation: Relation) -> bool:
    """Whether rows are held together while it runs, rather than only groups."""
    return isinstance(relation, (Sorted, Joined)) or any(_holds_rows(part) for part in relation.inputs)


def _bytes(relation: Relation) -> int:
    own = relation.bytes if isinstance(relation, Scan) else 0
    return own + sum(_bytes(part) for part in relation.inputs)


def _relation(node: nodes.PlanNode) -> Relation | None:
    schema = node.schema()
    if schema is None:
        return None
    if isinstance(node, nodes.Read):
        return _scan(node, schema)
    parts = [_relation(part) for part in node.inputs]
    inputs = [part for part in parts if part is not None]
    if not inputs or len(inputs) < len(parts):
        return None
    if isinstance(node, nodes.Join):
        return _join(node, schema, *inputs)
    first = inputs[0]
    if isinstance(node, nodes.Filter):
        return Where(schema, first, node.predicate)
    if isinstance(node, nodes.Project):
        exprs = node.exprs
        return None if not exprs or node.resources is not None else Projected(schema, first, exprs)
    if isinstance(node, nodes.Limit):
        return Head(schema, first, node.rows)
    if isinstance(node, nodes.Sort) and node.keys and node.boundaries is None:
        return Sorted(schema, first, node.keys, node.descending)
    if isinstance(node, nodes.Aggregate) and not node.first_seen:
        return Grouped(schema, first, node.keys, node.aggregations)
    return None


def _scan(node: nodes.Read, schema: pa.Schema) -> Relation | None:
    source = node.source
    if not isinstance(source, ParquetSource) or node.resources.options or not schema.names:
        return None
    paths = source.plain_paths
    if not paths:
        return None
    if source.predicate is None:
        return Scan(schema, paths, source.size())
    whole = source.without_predicate()
    found = Where(whole.schema(), Scan(whole.schema(), paths, source.size()), source.predicate)
    return Projected(schema, found, tuple((name, col(name)) for name in schema.names))


def _join(node: nodes.Join, schema: pa.Schema, left: Relation, right: Relation) -> Relation | None:
    keys = (node.left_on, node.right_on)
    suffixes = (node.left_suffix, node.right_suffix)
    if node.how.endswith(("semi", "anti")):
        return Joined(schema, left, right, *keys, node.how)
    rest = [name for name in right.schema.names if name not in node.right_on]
    one, other = joined_names(list(left.schema.names), rest, node.left_on, suffixes)
    names = (tuple(zip(left.schema.names, one, strict=True)), tuple(zip(rest, other, strict=True)))
    return Joined(schema, left, right, *keys, node.how, *names)
