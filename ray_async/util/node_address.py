"""Address of this machine, as others know it."""

from __future__ import annotations

import os

from ray_async.engine.current import get_session, has_session
from ray_async.machine.address import OUTSIDE, machine_address

__all__ = ("get_node_instance_id", "get_node_ip_address")


def get_node_ip_address(address: str = OUTSIDE) -> str:
    """Return the address of this node, as `nodes()` and the resource ``node:<address>`` of its session have it.

    Without a session it is what one that starts here gets: the address of the interface that leads to `address`, or
    "127.0.0.1" where there is no route.

    Args:
        address: `host:port` somewhere outside; another one than the default asks for that route, session or not.
            Nothing is sent to it.
    """
    if address == OUTSIDE and has_session():
        return str(get_session().address_info()["node_ip_address"])
    return machine_address(address)


def get_node_instance_id() -> str:
    """Return the cloud's name for this machine (from `RAY_CLOUD_INSTANCE_ID`), or an empty string."""
    return os.environ.get("RAY_CLOUD_INSTANCE_ID", "")
