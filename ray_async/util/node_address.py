"""How this machine is known to others."""

from __future__ import annotations

import os
import socket

__all__ = ("get_node_instance_id", "get_node_ip_address")


def get_node_ip_address(address: str = "8.8.8.8:53") -> str:
    """Return the address of the interface that leads to `address`; "127.0.0.1" where there is no route.

    Args:
        address: `host:port` somewhere outside. Nothing is sent to it.
    """
    host, _, port = address.rpartition(":")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect((host, int(port)))  # a datagram socket only picks a route
        except OSError:
            return "127.0.0.1"
        return str(probe.getsockname()[0])


def get_node_instance_id() -> str:
    """Return the cloud's name for this machine (from `RAY_CLOUD_INSTANCE_ID`), or an empty string."""
    return os.environ.get("RAY_CLOUD_INSTANCE_ID", "")
