"""References to results of compiled graphs, by the path that programs use."""

from ray_async.dag.compiled.ref import CompiledDAGFuture, CompiledDAGRef

__all__ = ("CompiledDAGFuture", "CompiledDAGRef")
