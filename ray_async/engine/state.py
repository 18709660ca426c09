"""The state of a session: rows of its tasks, actors, objects, workers, nodes and groups."""

from __future__ import annotations

from enum import StrEnum
from typing import Any, Protocol

__all__ = ("State", "StateKind")


class StateKind(StrEnum):
    """What is listed."""

    ACTORS = "actors"
    NODES = "nodes"
    OBJECTS = "objects"
    PLACEMENT_GROUPS = "placement groups"
    TASKS = "tasks"
    WORKERS = "workers"


class State(Protocol):
    """What an engine tells of itself."""

    def rows(self, kind: StateKind, timeout_s: float | None = None) -> list[dict[str, Any]]:
        """List what there is, a mapping for each.

        Args:
            kind: Of what.
            timeout_s: Seconds to wait for the answer; None waits for ever.

        Raises:
            GetTimeoutError: There was no answer in time.
            NodeDiedError: The node is gone.
        """
        ...

    def nodes(self) -> list[dict[str, Any]]:
        """Describe the nodes, dead ones too, under Ray's names: NodeID (hex), Alive, Resources, Labels and more."""
        ...

    def cluster_resources(self) -> dict[str, float]:
        """Sum what the living nodes have, by resource (bytes for memory)."""
        ...

    def available_resources(self, node_id: str | None = None) -> dict[str, float]:
        """Sum what the living nodes, or one (its id in hexadecimal digits), have free (bytes for memory)."""
        ...

    def timeline(self) -> list[dict[str, Any]]:
        """Give the events of finished tasks in Chrome's trace format.

        Raises:
            RuntimeError: Times are not recorded.
        """
        ...

    def pending_demands(self) -> list[dict[str, Any]]:
        """What waits for resources: their quantities, and how many wait for them."""
        ...
