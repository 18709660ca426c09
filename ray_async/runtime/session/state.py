"""The state of a node, asked for over a control connection."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from typing import Any

from ray_async.engine.state import FieldFilter, ListedNode, PendingDemand, Row, Rows, StateKind, TraceEvent

__all__ = ("SessionState",)

_PLAIN = str | int | float | bool | None
#: What a kind is called among the node's requests.
_OPERATIONS = {
    StateKind.ACTORS: "actors",
    StateKind.NODES: "state_nodes",
    StateKind.OBJECTS: "objects",
    StateKind.PLACEMENT_GROUPS: "pg_table",
    StateKind.WORKERS: "workers",
}


class SessionState:
    """The state of a session's own node.

    Args:
        ask: sends a request; its answer comes within ``limit_s``, or an error does.
    """

    def __init__(self, ask: Callable[..., dict[str, Any]]) -> None:
        self._ask = ask

    def rows(self, kind: StateKind, timeout_s: float | None = None) -> list[Row]:
        """List what there is."""
        if kind is StateKind.TASKS:
            return self.tasks((), sys.maxsize, 0, timeout_s).rows
        found = self._ask(_OPERATIONS[kind], limit_s=timeout_s)["value"]
        return list(found.values()) if isinstance(found, dict) else list(found)

    def tasks(
        self, filters: Sequence[FieldFilter], limit: int, offset: int = 0, timeout_s: float | None = None
    ) -> Rows:
        """List tasks that fit filters."""
        wanted = [(name, equal, value if isinstance(value, _PLAIN) else str(value)) for name, equal, value in filters]
        found = self._ask("tasks", limit_s=timeout_s, filters=wanted, limit=limit, offset=offset)["value"]
        return Rows(list(found["rows"]), int(found["total"]))

    def task_counts(self, timeout_s: float | None = None) -> dict[str, dict[str, int]]:
        """Count tasks by function and state."""
        return dict(self._ask("task_counts", limit_s=timeout_s)["value"])

    def pending_demands(self) -> list[PendingDemand]:
        """What waits: rows of ``resources`` and ``count``."""
        return list(self._ask("pending_demands")["value"])

    def nodes(self) -> list[ListedNode]:
        """Describe the nodes, dead ones too."""
        return list(self._ask("nodes")["value"])

    def cluster_resources(self) -> dict[str, float]:
        """Sum what the living nodes have."""
        return dict(self._ask("cluster_resources")["value"])

    def available_resources(self, node_id: str | None = None) -> dict[str, float]:
        """Sum what the living nodes, or one, have free."""
        return dict(self._ask("available_resources", node_id=node_id)["value"])

    def timeline(self) -> list[TraceEvent]:
        """Events of finished tasks in Chrome's trace format."""
        return list(self._ask("timeline")["value"])

    def store_figures(self) -> dict[str, int]:
        """Bytes of the object store."""
        return dict(self._ask("store_figures")["value"])
