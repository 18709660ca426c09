"""Names that programs written for Ray import."""

from __future__ import annotations

from ray_async.dashboard.launch import dashboard_at
from ray_async.runtime.start import node_control

__all__ = ("ray_address_to_api_server_url",)


def ray_address_to_api_server_url(address: str | None) -> str:
    """Give the URL of a node's dashboard, which is the server of its API over HTTP too.

    Args:
        address: The node's; None and "auto" are the one that was started last.

    Raises:
        ConnectionError: No node runs there, or it has no dashboard.
    """
    entry = node_control.find_node(address or "auto")
    if entry is None:
        raise ConnectionError(f"no node runs at {address or 'auto'!r}")
    found = dashboard_at(entry.session_dir)
    if found is None:
        raise ConnectionError(f"the node at {entry.address} has no dashboard: `ray_async dashboard` starts one")
    return found.url
