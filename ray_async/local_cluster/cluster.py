"""A cluster on one machine, for tests: logical nodes with resources, labels and workers of their own."""

from __future__ import annotations

import atexit
import time
from collections.abc import Mapping
from typing import Any

from ray_async.api import lifecycle
from ray_async.engine.current import get_session, has_session
from ray_async.ignored_option import note_ignored
from ray_async.runtime.start import node_control
from ray_async.spec.resource_request import custom_resources_error, quantity_error

__all__ = ("AutoscalingCluster", "Cluster", "ClusterNode", "cluster_not_supported")

#: Logical nodes need nothing of the platform; programs written for Ray ask before they make a cluster.
cluster_not_supported = False

_STORE_BYTES = 150 << 20
_WORKERS_END_S = 10
# Quantities of a node, by the names under which they are given here and as resources.
_QUANTITIES = {"num_cpus": "CPU", "num_gpus": "GPU", "memory": "memory", "object_store_memory": "object_store_memory"}
_HEAD_SETTINGS = ("node_name", "object_spilling_directory")
_OTHER_HEAD_SETTINGS = ("_system_config", "system_config", "port", "node_ip_address")


class AutoscalingCluster:
    """A cluster that grows and shrinks, in Ray; here there is no autoscaler.

    Args:
        head_resources: Quantities of the head.
        worker_node_types: Kinds of nodes that could be added.
        config: Other settings.

    Raises:
        NotImplementedError: Always.
    """

    def __init__(
        self, head_resources: Mapping[str, float], worker_node_types: Mapping[str, Any], **config: Any
    ) -> None:
        raise NotImplementedError("There is no autoscaler: add logical nodes by hand, with Cluster.add_node().")


class ClusterNode:
    """A logical node of a `Cluster`.

    Attributes:
        node_id: Its id, in hexadecimal digits; ``unique_id`` is the same.
        address: The cluster's.
        node_ip_address: Its address without the port.
    """

    def __init__(self, node_id: str, address: str, entry: node_control.NodeEntry) -> None:
        self.node_id = node_id
        self.unique_id = node_id
        self.address = address
        self.gcs_address = address
        self.node_ip_address = address.rpartition(":")[0]
        self.session_dir = entry.session_dir
        self.raylet_socket_name = entry.socket

        self._entry = entry
        self._removed = False

    def any_processes_alive(self) -> bool:
        """Return whether the node is part of the cluster, and the cluster's process runs."""
        return not self._removed and node_control.find_node(self._entry.address) == self._entry

    def remaining_processes_alive(self) -> bool:
        """Return the same: all logical nodes live in one process."""
        return self.any_processes_alive()

    def mark_removed(self) -> None:
        """The cluster has taken the node away."""
        self._removed = True

    def get_session_dir_path(self) -> str:
        """Give the session's directory."""
        return self.session_dir

    def __repr__(self) -> str:
        return f"ClusterNode({self.node_id})"


class Cluster:
    """Several logical nodes in one node process.

    The first node added is the head; removing it ends the cluster. A removed node's workers are killed: what they ran
    is retried elsewhere or fails, as after the loss of a machine. Large objects that no other node has made, read or
    waited for go with it, and are computed again where that is possible.

    Args:
        initialize_head: Whether to add the head at once.
        connect: Whether to attach this process as a driver, too.
        head_node_args: Arguments of ``add_node`` for the head.
        shutdown_at_exit: Whether the cluster ends with this process.

    Raises:
        RuntimeError: ``connect`` without ``initialize_head``.

    Example:
        >>> cluster = Cluster(initialize_head=True, connect=True)
        >>> node = cluster.add_node(num_cpus=4, resources={"disk": 1})
        >>> cluster.remove_node(node)
        >>> cluster.shutdown()
    """

    def __init__(
        self,
        initialize_head: bool = False,
        connect: bool = False,
        head_node_args: Mapping[str, Any] | None = None,
        shutdown_at_exit: bool = True,
    ) -> None:
        if connect and not initialize_head:
            raise RuntimeError("Cannot connect to a cluster without a head: pass initialize_head=True.")
        self.head_node: ClusterNode | None = None
        self.worker_nodes: set[ClusterNode] = set()
        self.connected = False
        self._entry: node_control.NodeEntry | None = None
        self._channel: Any = None
        self._shutdown_at_exit = shutdown_at_exit
        if initialize_head:
            self.add_node(**(head_node_args or {}))
        if connect:
            self.connect()

    @property
    def address(self) -> str | None:
        """What ``init(address=...)`` takes; None without a head."""
        return self._entry.address if self._entry is not None else None

    @property
    def gcs_address(self) -> str | None:
        """The same as ``address``."""
        return self.address

    def connect(self, namespace: str | None = None) -> None:
        """Attach this process to the cluster as a driver.

        Args:
            namespace: Namespace of named actors.

        Raises:
            RuntimeError: There is no head, or this process was attached already.
        """
        if self._entry is None or self.connected:
            raise RuntimeError("The cluster has no head." if self._entry is None else "Connected already.")
        lifecycle.init(address=self._entry.address, namespace=namespace, ignore_reinit_error=True)
        self.connected = True

    def add_node(
        self,
        wait: bool = True,
        *,
        num_cpus: float | None = 1,
        num_gpus: float | None = 0,
        memory: int | None = None,
        object_store_memory: int | None = None,
        resources: Mapping[str, float] | None = None,
        labels: Mapping[str, str] | None = None,
        **settings: Any,
    ) -> ClusterNode:
        """Add a node; the first one is the head.

        Args:
            wait: Noted if it is False, and without effect: the node is there when this returns.
            num_cpus: CPUs that it offers.
            num_gpus: GPUs that it offers.
            memory: Bytes that it offers as the resource ``memory``.
            object_store_memory: Bytes of the object store; for the head, what the machine allows by default. All nodes
                share the head's: another node's is only a resource.
            resources: Other resources, by name.
            labels: Labels of the node.
            settings: ``node_name``, of the head ``_system_config``, ``port``, ``node_ip_address`` and
                ``object_spilling_directory`` too; others of Ray's are noted, and without effect.

        Raises:
            NodeStartError: The head does not start.
            ValueError: A quantity that is not allowed.
        """
        problems = (
            quantity_error("num_cpus", num_cpus),
            quantity_error("num_gpus", num_gpus),
            custom_resources_error(resources),
        )
        for problem in filter(None, problems):
            raise ValueError(problem)
        if not wait:
            note_ignored("Cluster.add_node(wait=False)", "a node is there when this returns")
        _note_settings(settings, is_head=self._entry is None)
        given = {
            "num_cpus": num_cpus,
            "num_gpus": num_gpus,
            "memory": memory,
            "object_store_memory": object_store_memory,
        }
        facts: dict[str, Any] = {"resources": dict(resources or {}), "labels": dict(labels or {})}
        if self._entry is None:
            return self._add_head({**given, **facts}, settings)
        given["object_store_memory"] = object_store_memory or _STORE_BYTES
        quantities = {resource: given[name] for name, resource in _QUANTITIES.items() if given[name]}
        quantities.setdefault("CPU", 0)
        facts["resources"] = {**quantities, **facts["resources"]}
        answer = self._ask("add_node", **facts, node_name=settings.get("node_name"))
        node = ClusterNode(answer["node_id"], self._entry.address, self._entry)
        self.worker_nodes.add(node)
        return node

    def _add_head(self, config: dict[str, Any], settings: Mapping[str, Any]) -> ClusterNode:
        config.update({name: settings[name] for name in _HEAD_SETTINGS if settings.get(name) is not None})
        system_config = settings.get("_system_config") or settings.get("system_config")
        if system_config:
            config["system_config"] = dict(system_config)
        taken = {entry.address for entry in node_control.find_nodes()}
        ports = [int(settings["port"])] if settings.get("port") else range(6379, 65536)
        ip = settings.get("node_ip_address") or "127.0.0.1"
        address = next(f"{ip}:{port}" for port in ports if f"{ip}:{port}" not in taken)
        self._entry = node_control.start_head({**config, "address": address, "head": True})
        if self._shutdown_at_exit:
            atexit.register(self._end)
        rows = self._ask("nodes")
        self.head_node = ClusterNode(rows[0]["NodeID"], address, self._entry)
        return self.head_node

    def remove_node(self, node: ClusterNode, allow_graceful: bool | None = None) -> None:
        """Take a node away: its workers are killed. Returns when they are gone.

        Args:
            node: One of this cluster's. The head ends the whole cluster.
            allow_graceful: Noted if it is given, and without effect: workers of a removed node are killed either way.

        Raises:
            ValueError: The head, while this process is attached to it; or a node that is not one of the cluster's.
            TimeoutError: A worker is still there ten seconds after it was killed.
        """
        if allow_graceful is not None:
            note_ignored("Cluster.remove_node(allow_graceful=...)", "a node's workers are killed either way")
        if node is self.head_node:
            if has_session() and get_session().address_info()["address"] == self.address:
                lifecycle.shutdown()
                raise ValueError("Removing the head would break this driver, which is attached to it.")
            self._end()
            return
        if node not in self.worker_nodes:
            raise ValueError(f"{node!r} is not a node of this cluster.")
        self.worker_nodes.remove(node)
        self._ask("remove_node", node_id=node.node_id)
        node.mark_removed()
        # What a worker had in its hands is lost once it is gone; whoever asks for it before would still find it.
        deadline = time.monotonic() + _WORKERS_END_S
        while any(row["is_alive"] and row["node_id"] == node.node_id for row in self._ask("workers")):
            if time.monotonic() > deadline:
                raise TimeoutError(f"workers of {node!r} were killed and have not ended in {_WORKERS_END_S} seconds")
            time.sleep(0.005)

    def wait_for_nodes(self, timeout: float = 30) -> None:
        """Wait until the living nodes are those that were added and not removed.

        Args:
            timeout: Seconds to wait at most.

        Raises:
            TimeoutError: They are not.
        """
        expected = {node.node_id for node in self.list_all_nodes()}
        deadline = time.monotonic() + timeout
        while {row["NodeID"] for row in self._ask("nodes") if row["Alive"]} != expected:
            if time.monotonic() > deadline:
                raise TimeoutError("Timed out while waiting for nodes to join.")
            time.sleep(0.01)

    def list_all_nodes(self) -> list[ClusterNode]:
        """Give the nodes, the head first."""
        return [node for node in (self.head_node, *self.worker_nodes) if node is not None]

    def remaining_processes_alive(self) -> bool:
        """Return whether the node process runs."""
        return self._entry is not None and node_control.find_node(self._entry.address) == self._entry

    def shutdown(self) -> None:
        """End the cluster; this process is detached first if it was attached."""
        if has_session() and get_session().address_info()["address"] == self.address:
            lifecycle.shutdown()
        self._end()

    def _ask(self, op: str, **fields: Any) -> Any:
        from ray_async.transport.channel import Channel, connect_unix

        if self._entry is None:
            raise RuntimeError("The cluster has no head: add_node() first.")
        if self._channel is None:
            self._channel = Channel(connect_unix(self._entry.socket))
        answer = self._channel.request(op, **fields)
        if "error" in answer:
            raise ValueError(answer["error"])
        return answer["value"]

    def _end(self) -> None:
        atexit.unregister(self._end)
        if self._channel is not None:
            self._channel.close()
            self._channel = None
        entry, self._entry, self.head_node = self._entry, None, None
        self.worker_nodes.clear()
        self.connected = False
        if entry is not None:
            node_control.stop_nodes(only=entry)


def _note_settings(settings: Mapping[str, Any], is_head: bool) -> None:
    known = (*_HEAD_SETTINGS, *_OTHER_HEAD_SETTINGS) if is_head else ("node_name",)
    for name in settings:
        if name not in known and settings[name] is not None:
            note_ignored(f"Cluster.add_node({name}=...)", "a logical node has no such part of its own")
