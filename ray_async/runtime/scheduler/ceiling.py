"""An upper bound of what is free anywhere, so that those who cannot be served are passed over cheaply."""

from __future__ import annotations

from collections.abc import Iterable

from ray_async.runtime.scheduler.node_table import NodeRow
from ray_async.runtime.scheduler.resources import ResourceSet

__all__ = ("FreeCeiling",)


class FreeCeiling:
    """Most units free on one node and on all together, by resource; nothing is freed during a round of dispatching."""

    __slots__ = ("_everywhere", "_on_one_node")

    def __init__(self, nodes: Iterable[NodeRow]) -> None:
        self._on_one_node: dict[str, int] = {}
        self._everywhere: dict[str, int] = {}
        for node in nodes:
            for name, units in node.pool.available.items():
                free = max(0, units)
                self._on_one_node[name] = max(self._on_one_node.get(name, 0), free)
                self._everywhere[name] = self._everywhere.get(name, 0) + free

    def excludes(self, request: ResourceSet) -> bool:
        """Say that no node has room for `request`."""
        return not request.fits_in(self._on_one_node)

    def excludes_together(self, request: ResourceSet) -> bool:
        """Say that all nodes together have no room for `request`."""
        return not request.fits_in(self._everywhere)
