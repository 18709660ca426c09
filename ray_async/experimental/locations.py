"""Locations of objects."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ray_async.engine.current import get_session, has_session

__all__ = ("get_local_object_locations", "get_object_locations")


def get_object_locations(obj_refs: Sequence[Any], timeout_ms: int = -1) -> dict[Any, dict[str, Any]]:
    """Return which logical nodes have a copy of which object, and how large it is.

    A node counts as having a copy of what its processes have made, read or waited for. A removed node takes its copies
    of large objects along.

    Args:
        obj_refs: The references.
        timeout_ms: Milliseconds to wait for the node's answer; -1 waits for ever.

    Returns:
        For each reference a dict of ``node_ids`` (hexadecimal digits), ``object_size`` (bytes; None: the object is not
        there yet) and ``did_spill`` (it is on disk at the moment).

    Raises:
        GetTimeoutError: The node has not answered in time.
        RuntimeError: This process is not connected.

    Example:
        >>> ref = ray.put(b"x" * 1000)
        >>> get_object_locations([ref])[ref]["object_size"] >= 1000
        True
    """
    if not has_session():
        raise RuntimeError("Not connected: call init() first.")
    refs = list(obj_refs)
    return dict(zip(refs, get_session().locations(refs, None if timeout_ms < 0 else timeout_ms / 1000), strict=True))


def get_local_object_locations(obj_refs: Sequence[Any]) -> dict[Any, dict[str, Any]]:
    """Return the same as `get_object_locations`; in Ray this asks nobody else."""
    return get_object_locations(obj_refs)
