"""The state of a node, asked for over a control connection."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from ray_async import exceptions as errors
from ray_async.engine.state import StateKind
from ray_async.runtime.start import node_control
from ray_async.transport.channel import Channel, ChannelClosedError, connect_unix

if TYPE_CHECKING:
    from ray_async.engine.state import State

__all__ = ("OtherState", "SessionState")

#: What a kind is called among the node's requests.
_OPERATIONS = {
    StateKind.ACTORS: "actors",
    StateKind.NODES: "state_nodes",
    StateKind.OBJECTS: "objects",
    StateKind.PLACEMENT_GROUPS: "pg_table",
    StateKind.TASKS: "tasks",
    StateKind.WORKERS: "workers",
}


class SessionState:
    """The state of a session's own node.

    Args:
        ask: sends a request; its answer comes within ``limit_s``, or an error does.
    """

    def __init__(self, ask: Callable[..., dict[str, Any]]) -> None:
        self._ask = ask

    def rows(self, kind: StateKind, timeout_s: float | None = None) -> list[dict[str, Any]]:
        """List what there is."""
        found = self._ask(_OPERATIONS[kind], limit_s=timeout_s)["value"]
        return list(found.values()) if isinstance(found, dict) else list(found)

    def pending_demands(self) -> list[dict[str, Any]]:
        """What waits: rows of ``resources`` and ``count``."""
        return list(self._ask("pending_demands")["value"])

    def nodes(self) -> list[dict[str, Any]]:
        """Describe the nodes, dead ones too."""
        return list(self._ask("nodes")["value"])

    def cluster_resources(self) -> dict[str, float]:
        """Sum what the living nodes have."""
        return dict(self._ask("cluster_resources")["value"])

    def available_resources(self, node_id: str | None = None) -> dict[str, float]:
        """Sum what the living nodes, or one, have free."""
        return dict(self._ask("available_resources", node_id=node_id)["value"])

    def timeline(self) -> list[dict[str, Any]]:
        """Events of finished tasks in Chrome's trace format."""
        return list(self._ask("timeline")["value"])


class OtherState(SessionState):
    """The state of a node that this process is not connected to, asked for over a connection for each question.

    Args:
        address: of a node of this machine.

    Raises:
        ConnectionError: no node runs there.
    """

    def __init__(self, address: str) -> None:
        entry = node_control.find_node(address)
        if entry is None:
            raise ConnectionError(f"no node runs at {address!r} on this machine")
        super().__init__(self._request)
        self._address = address
        self._socket = entry.socket

    def _request(self, op: str, limit_s: float | None = None, **fields: Any) -> dict[str, Any]:
        try:
            channel = Channel(connect_unix(self._socket))
            try:
                answer = (
                    channel.request(op, **fields) if limit_s is None else channel.request_within(limit_s, op, **fields)
                )
            finally:
                channel.close()
        except (OSError, ChannelClosedError) as error:
            raise errors.NodeDiedError(f"the node at {self._address} does not answer: {error}") from error
        if answer is None:
            raise errors.GetTimeoutError(f"the node at {self._address} has not answered within {limit_s} s")
        if "error" in answer:
            raise errors.RaySystemError(f"the node at {self._address} refused: {answer['error']}")
        return answer


if TYPE_CHECKING:
    _state: State = SessionState(lambda op, **fields: {})
