"""The dashboard of a node, found by the node's address."""

from __future__ import annotations

from ray_async.dashboard.launch import Dashboard, dashboard_at
from ray_async.runtime.start import node_control

__all__ = ("find_dashboard", "ray_address_to_api_server_url")


def find_dashboard(address: str | None) -> Dashboard:
    """Find the dashboard of a node of this machine.

    Args:
        address: The node's; None and "auto" are the one that was started last.

    Raises:
        ConnectionError: No node runs there, or it has no dashboard.
    """
    entry = node_control.find_node(address or "auto")
    if entry is None:
        raise ConnectionError(f"no node runs at {address!r}" if address else "no node runs on this machine")
    found = dashboard_at(entry.session_dir)
    if found is None:
        raise ConnectionError(f"the node at {entry.address} has no dashboard: `ray_async dashboard` starts one")
    return found


def ray_address_to_api_server_url(address: str | None) -> str:
    """Give the URL of a node's dashboard, the server of its API over HTTP too, as `find_dashboard`."""
    return find_dashboard(address).url
