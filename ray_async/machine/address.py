"""Address of this machine, as others reach it."""

from __future__ import annotations

import socket

__all__ = ("LOOPBACK", "OUTSIDE", "machine_address")

LOOPBACK = "127.0.0.1"
#: Somewhere outside, by which the interface that leads there is found.
OUTSIDE = "8.8.8.8:53"


def machine_address(towards: str = OUTSIDE) -> str:
    """Return the address of the interface that leads to ``towards``; the loopback's where there is no route.

    Args:
        towards: `host:port`. Nothing is sent to it.
    """
    host, _, port = towards.rpartition(":")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect((host, int(port)))  # a datagram socket only picks a route
        except OSError:
            return LOOPBACK
        return str(probe.getsockname()[0])
