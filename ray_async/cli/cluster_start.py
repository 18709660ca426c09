"""The command `ray_async start` where it opens a port: a cluster's head, and nodes that join it."""

from __future__ import annotations

import argparse
import importlib.util
import socket
from types import ModuleType

from ray_async.cli.start_options import given_options
from ray_async.runtime.start import node_control

__all__ = ("start_head_node", "start_member_node")

_NEEDED = ("distributed", "cryptography")


def start_head_node(arguments: argparse.Namespace) -> tuple[node_control.NodeEntry, str]:
    """Start a node and the head of a cluster beside it.

    Returns:
        The node, and a text for whoever has started it.

    Raises:
        ValueError: the address cannot be listened at, or a package is missing.
        NodeStartError, ConnectionError: a process did not get ready.
    """
    launch = _launch()
    host = arguments.node_ip_address or _own_address()
    port = _free_port(host, arguments.port)
    credentials = launch.credentials_path(arguments.cluster_credentials)
    entry = node_control.start_head(given_options(arguments, f"{host}:{port}"))
    try:
        head = launch.start_head(entry, host, port, credentials)
        launch.start_agent(entry, head, host, credentials, is_head=True)
    except BaseException:
        node_control.stop_nodes(only=entry)
        raise
    return entry, _HEAD_TEXT.format(host=host, head=head, credentials=credentials, rule="-" * 20)


def start_member_node(arguments: argparse.Namespace) -> tuple[node_control.NodeEntry, str]:
    """Start a node that joins a cluster.

    Returns:
        The node, and a text for whoever has started it.

    Raises:
        ValueError: the address is none, or a package is missing.
        NodeStartError, ConnectionError: a process did not get ready, or the head refused the node.
    """
    launch = _launch()
    head = arguments.address
    host, port = _parse(head)
    credentials = launch.credentials_path(arguments.cluster_credentials)
    launch.check_credentials(credentials)
    own = arguments.node_ip_address or _route_to(host, port)
    entry = node_control.start_head({**given_options(arguments, head), "node_ip_address": own})
    try:
        launch.start_agent(entry, head, own, credentials)
    except BaseException:
        node_control.stop_nodes(only=entry)
        raise
    return entry, _MEMBER_TEXT.format(host=own, head=head, rule="-" * 20)


def _launch() -> ModuleType:
    missing = [name for name in _NEEDED if importlib.util.find_spec(name) is None]
    if missing:
        raise ValueError(f"a cluster needs {', '.join(missing)}: pip install 'ray_async[cluster]'")
    from ray_async.cluster import launch

    return launch


def _parse(address: str) -> tuple[str, int]:
    host, _, port = address.rpartition(":")
    if not host or not port.isdigit() or not 0 < int(port) < 65536:
        raise ValueError(f"--address is host:port of the cluster's head, not {address!r}")
    return host.strip("[]"), int(port)


def _own_address() -> str:
    from ray_async.util.node_address import get_node_ip_address

    return get_node_ip_address()


def _route_to(host: str, port: int) -> str:
    """The address of this machine on the way to another one, whatever interfaces it has."""
    try:
        family, kind, protocol, _, target = socket.getaddrinfo(host, port, type=socket.SOCK_DGRAM)[0]
        with socket.socket(family, kind, protocol) as probe:
            probe.connect(target)  # sends nothing
            return str(probe.getsockname()[0])
    except OSError as error:
        raise ValueError(f"the head's address {host}:{port} cannot be reached: {error}") from error


def _free_port(host: str, port: int) -> int:
    """The port if it can be listened at, or any for 0."""
    try:
        with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind((host, port))
            return int(probe.getsockname()[1])
    except OSError as error:
        raise ValueError(f"the head cannot listen at {host}:{port} (--node-ip-address, --port): {error}") from error


_HEAD_TEXT = """Local node IP: {host}

{rule}
Ray runtime started.
{rule}

Next steps
  To add a machine, copy {credentials} there, owner-only, and run
    ray_async start --address='{head}' --cluster-credentials=FILE
  To attach a program on a machine of the cluster, call
    ray_async.init(address='{head}')
  To look at it, run
    ray_async status --address='{head}'
  To end this node, and the cluster with it, run
    ray_async stop"""

_MEMBER_TEXT = """Local node IP: {host}

{rule}
Ray runtime started.
{rule}

This node has joined the cluster at {head}.
  To attach a program on this machine, call
    ray_async.init(address='{head}')
  To end this node, run
    ray_async stop"""
