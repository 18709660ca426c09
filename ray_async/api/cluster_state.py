"""Cluster state: nodes, resources, devices and the timeline."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ray_async.engine.current import get_session, has_session

if TYPE_CHECKING:
    from ray_async.engine.state import State

__all__ = ("available_resources", "cluster_resources", "get_gpu_ids", "nodes", "timeline")


def nodes() -> list[dict[str, Any]]:
    """Describe the nodes, dead ones too.

    Returns:
        A mapping for each: NodeID (hex), Alive, NodeManagerAddress, Resources, Labels and more.

    Raises:
        RaySystemError: Not connected.
    """
    return [dict(row) for row in _state("nodes").nodes()]


def cluster_resources() -> dict[str, float]:
    """Sum what the living nodes have, by resource (bytes for memory).

    Raises:
        RaySystemError: Not connected.

    Example:
        >>> ray.cluster_resources()["CPU"]
        8.0
    """
    return _state("cluster_resources").cluster_resources()


def available_resources() -> dict[str, float]:
    """Sum what the living nodes have free, by resource (bytes for memory); what is used up is left out.

    Raises:
        RaySystemError: Not connected.
    """
    return _state("available_resources").available_resources()


def timeline(filename: str | None = None) -> list[dict[str, Any]] | None:
    """Give the events of finished tasks in Chrome's trace format.

    Args:
        filename: Write them as JSON to this file.

    Returns:
        The events, or None when they were written to a file.

    Raises:
        RuntimeError: Not connected.
    """
    if not has_session():
        raise RuntimeError("timeline() needs a connection: call init() first.")
    events = get_session().state.timeline()
    if filename is None:
        return [dict(event) for event in events]
    import json

    with open(filename, "w", encoding="utf-8") as file:
        json.dump(events, file)
    return None


def get_gpu_ids() -> list[int] | list[str]:
    """Give the ids of the GPUs that the running task or actor holds.

    Returns:
        Numbers, or strings where the devices are named otherwise.
    """
    ids = get_session().context().accelerator_ids.get("GPU", [])
    return [int(device) for device in ids] if all(device.isdigit() for device in ids) else list(ids)


def _state(what: str) -> State:
    if not has_session():
        from ray_async.exceptions import RaySystemError

        raise RaySystemError(f"{what}() needs a connection: call init() first.")
    return get_session().state
