"""The state of a session: rows of its tasks, actors, objects, workers, nodes and groups."""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum
from typing import NamedTuple, Protocol, TypedDict

__all__ = ("FieldFilter", "ListedNode", "PendingDemand", "Row", "Rows", "State", "StateKind", "TraceEvent")

#: A thing as a listing shows it, by field; which fields there are depends on what is listed.
Row = dict[str, object]


class FieldFilter(NamedTuple):
    """A condition on a field of a row.

    Attributes:
        field: Its name.
        equal: Whether the field is to be equal to the value, or not.
        value: Compared as it is, or as text without regard to the case of letters.
    """

    field: str
    equal: bool
    value: object

    def accepts(self, found: object) -> bool:
        """Whether a field with this value fits."""
        return (found == self.value or str(found).lower() == str(self.value).lower()) == self.equal


class Rows(NamedTuple):
    """Some of the rows of a listing.

    Attributes:
        rows: A mapping for each.
        total: How many rows there are that fit the filters.
    """

    rows: list[Row]
    total: int


class ListedNode(TypedDict):
    """A node under Ray's names; those of parts that an engine has not are there, and 0 or empty.

    Attributes:
        NodeID: Its id in hexadecimal digits.
        Alive, alive: Whether it is.
        DeathReason, DeathReasonMessage: Why it is not.
        NodeName: The name that it was given, or its address.
        Resources, Labels: What it has, and is known by.
        IsHeadNode: Whether the others have joined it.
    """

    NodeID: str
    Alive: bool
    alive: bool
    NodeManagerAddress: str
    NodeManagerHostname: str
    NodeManagerPort: int
    ObjectManagerPort: int
    ObjectStoreSocketName: str
    RayletSocketName: str
    MetricsExportPort: int
    MetricsAgentPort: int
    DashboardAgentListenPort: int
    NodeName: str
    RuntimeEnvAgentPort: int
    DeathReason: int
    DeathReasonMessage: str
    Resources: dict[str, float]
    Labels: dict[str, str]
    IsHeadNode: bool


class PendingDemand(TypedDict):
    """Something that waits for resources.

    Attributes:
        resources: Quantities that one of it takes.
        count: How many of it wait.
    """

    resources: dict[str, float]
    count: int


class TraceEvent(TypedDict):
    """A finished task in Chrome's trace format; times are microseconds."""

    cat: str
    name: str
    ph: str
    ts: float
    dur: float
    pid: str
    tid: str
    args: dict[str, int]


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

    def rows(self, kind: StateKind, timeout_s: float | None = None) -> list[Row]:
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

    def nodes(self) -> list[ListedNode]:
        """Describe the nodes, dead ones too."""
        ...

    def cluster_resources(self) -> dict[str, float]:
        """Sum what the living nodes have, by resource (bytes for memory)."""
        ...

    def available_resources(self, node_id: str | None = None) -> dict[str, float]:
        """Sum what the living nodes, or one (its id in hexadecimal digits), have free (bytes for memory)."""
        ...

    def timeline(self) -> list[TraceEvent]:
        """Give the events of finished tasks in Chrome's trace format.

        Raises:
            RuntimeError: Times are not recorded.
        """
        ...

    def pending_demands(self) -> list[PendingDemand]:
        """What waits for resources: their quantities, and how many wait for them."""
        ...

    def store_figures(self) -> dict[str, int]:
        """Bytes of the object store: ``limit``, ``used``, ``resident``, ``spilled``, ``restored`` and others."""
        ...
