"""Nodes of graphs, by the path that programs use."""

from ray_async.dag.node import DAGNode

__all__ = ("DAGNode",)
