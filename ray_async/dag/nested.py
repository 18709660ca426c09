"""Nodes inside arguments: found, and replaced, wherever a pickle of the arguments reaches them."""

from __future__ import annotations

import io
import pickle
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import cloudpickle

from ray_async._core.object_ref import ObjectRef

if TYPE_CHECKING:
    from ray_async.dag.node import DAGNode

__all__ = ("Nested", "contained_nodes")

_PLAIN = (int, float, complex, bool, str, bytes, type(None))


class Nested:
    """A value with nodes in it, taken apart once, and put together with something else for each node.

    Args:
        value: Anything that can be pickled but for its nodes and references.

    Raises:
        TypeError: It cannot be pickled.
    """

    def __init__(self, value: Any) -> None:
        memory = io.BytesIO()
        taken = _TakingApart(memory)
        taken.dump(value)
        self._kept = taken.kept
        self._pickled = memory.getvalue()

    @property
    def nodes(self) -> list[DAGNode]:
        """The nodes inside, each once, in the order in which they were met."""
        from ray_async.dag.node import DAGNode

        return [value for value in self._kept if isinstance(value, DAGNode)]

    def rebuild(self, replace: Callable[[DAGNode], Any]) -> Any:
        """Make the value anew, with ``replace(node)`` in the place of each node."""
        from ray_async.dag.node import DAGNode

        put_together = _PuttingTogether(io.BytesIO(self._pickled))
        put_together.kept = [replace(value) if isinstance(value, DAGNode) else value for value in self._kept]
        return put_together.load()


class _TakingApart(cloudpickle.Pickler):  # type: ignore[misc]  # it has no types
    """Leaves out nodes, and what need not be looked through: references, and arrays, which are large."""

    def __init__(self, file: io.BytesIO) -> None:
        super().__init__(file)
        self.kept: list[Any] = []
        self._places: dict[int, int] = {}

    def persistent_id(self, value: Any) -> int | None:
        from ray_async.dag.node import DAGNode

        if not isinstance(value, (DAGNode, ObjectRef)) and not hasattr(type(value), "__array_interface__"):
            return None
        if id(value) not in self._places:
            self._places[id(value)] = len(self.kept)
            self.kept.append(value)
        return self._places[id(value)]


class _PuttingTogether(pickle.Unpickler):
    kept: list[Any]

    def persistent_load(self, place: int) -> Any:
        return self.kept[place]


def contained_nodes(value: Any) -> list[DAGNode]:
    """The nodes inside a value; of a node, itself."""
    from ray_async.dag.node import DAGNode

    if isinstance(value, DAGNode):
        return [value]
    return [] if isinstance(value, _PLAIN) else Nested(value).nodes
