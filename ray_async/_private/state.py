"""Ray's module of the cluster's state, for programs that read actors, groups and free resources from there."""

from __future__ import annotations

from typing import Any

from ray_async.api.cluster_state import available_resources, cluster_resources, nodes, timeline
from ray_async.engine.current import get_session
from ray_async.util.placement_group import placement_group_table as _table_of
from ray_async.util.state import list_actors

__all__ = (
    "actors",
    "available_resources",
    "available_resources_per_node",
    "cluster_resources",
    "node_ids",
    "nodes",
    "placement_group_table",
    "timeline",
    "total_resources_per_node",
)


def actors(actor_id: str | None = None) -> dict[str, Any]:
    """Give what is known of all actors, or of one.

    Args:
        actor_id: An actor's id in hex.

    Returns:
        A mapping for each actor by its id in hex, or the one actor's, which is empty where there is none of that id.
        Keys: ActorID, ActorClassName, IsDetached, Name, JobID, State, NumRestarts, Pid, Address.

    Raises:
        RaySystemError: Not connected.
    """
    rows = {row["actor_id"]: _actor(row) for row in list_actors(detail=True, limit=10_000)}
    return rows if actor_id is None else rows.get(actor_id, {})


def _actor(row: Any) -> dict[str, Any]:
    return {
        "ActorID": row["actor_id"],
        "ActorClassName": row["class_name"],
        "IsDetached": row.get("is_detached", False),
        "Name": row.get("name") or "",
        "JobID": row["job_id"],
        "State": row["state"],
        "NumRestarts": row.get("num_restarts", 0),
        "Pid": row.get("pid") or 0,
        "Address": {"NodeID": row.get("node_id") or ""},
    }


def placement_group_table(placement_group_id: Any = None) -> dict[str, Any]:
    """Give what is known of all placement groups by their ids in hex, or of one.

    Args:
        placement_group_id: The group's `PlacementGroupID`.
    """
    table: dict[str, Any] = _table_of()
    return table if placement_group_id is None else table.get(placement_group_id.hex(), {})


def node_ids() -> list[str]:
    """Give the ids in hex of the nodes that are alive."""
    return [row["NodeID"] for row in nodes() if row["Alive"]]


def total_resources_per_node() -> dict[str, dict[str, float]]:
    """Give what each living node has, by its id in hex (bytes for memory)."""
    return {row["NodeID"]: dict(row["Resources"]) for row in nodes() if row["Alive"]}


def available_resources_per_node() -> dict[str, dict[str, float]]:
    """Give what each living node has free, by its id in hex (bytes for memory); what is used up is left out."""
    state = get_session().state
    return {node_id: state.available_resources(node_id) for node_id in node_ids()}
