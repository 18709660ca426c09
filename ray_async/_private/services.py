"""Ray's start of services, for programs that import the address of this machine from there."""

from ray_async.util.node_address import get_node_ip_address

__all__ = ("get_node_ip_address",)
