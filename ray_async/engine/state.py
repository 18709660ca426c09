"""The state of a session: rows of its tasks, actors, objects, workers, nodes and groups."""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum
from typing import Any, NamedTuple, Protocol

__all__ = ("FieldFilter", "Rows", "State", "StateKind")


class FieldFilter(NamedTuple):
    """A condition on a field of a row.

    Attributes:
        field: Its name.
        equal: Whether the field is to be equal to the value, or not.
        value: Compared as it is, or as text without regard to the case of letters.
    """

    field: str
    equal: bool
    value: Any

    def accepts(self, found: Any) -> bool:
        """Whether a field with this value fits."""
        return (found == self.value or str(found).lower() == str(self.value).lower()) == self.equal


class Rows(NamedTuple):
    """Some of the rows of a listing.

    Attributes:
        rows: A mapping for each.
        total: How many rows there are that fit the filters.
    """

    rows: list[dict[str, Any]]
    total: int


class StateKind(StrEnum):
    """What is listed."""

    ACTORS = "actors"
    NODES = "nodes"
    OBJECTS = "objects"
    PLACEMENT_GROUPS = "placement groups"
    TASKS = "tasks"
    WORKERS = "workers"


class State(Protocol):
    """The state of an engine, as it is listed."""

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

    def tasks(
        self, filters: Sequence[FieldFilter], limit: int, offset: int = 0, timeout_s: float | None = None
    ) -> Rows:
        """List tasks that fit filters: those that have records, then those that have ended, the latest first.

        Args:
            filters: All must accept a task.
            limit: Most rows.
            offset: How many to leave out before the first.
            timeout_s: As in `rows`, with the same errors.
        """
        ...

    def task_counts(self, timeout_s: float | None = None) -> dict[str, dict[str, int]]:
        """Count tasks by function and state; arguments and errors as in `rows`."""
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
