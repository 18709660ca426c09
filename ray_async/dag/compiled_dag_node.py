"""Compiled graphs, by the path that programs use."""

from ray_async.dag.compiled.graph import CompiledDAG

__all__ = ("CompiledDAG",)
