"""Output nodes: several nodes whose values a graph gives together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ray_async.dag.node import DAGNode

__all__ = ("MultiOutputNode",)


class MultiOutputNode(DAGNode):
    """The outputs of a graph that has several.

    Args:
        args: The nodes, as a list or a tuple.

    Raises:
        ValueError: Anything else.
    """

    def __init__(self, args: Sequence[DAGNode]) -> None:
        if not isinstance(args, (list, tuple)):
            raise ValueError(f"MultiOutputNode takes a list or a tuple of nodes, not {type(args).__name__}.")
        super().__init__(args)

    def _call(self, results: Mapping[int, Any], given: Any) -> Any:
        return list(self._resolved(results)[0])

    def _copy_with(self, args: Sequence[Any], kwargs: Mapping[str, Any], others: Mapping[str, Any]) -> DAGNode:
        return MultiOutputNode(args)
