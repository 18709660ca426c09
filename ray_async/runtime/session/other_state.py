"""The state of a node that this process is not connected to."""

from __future__ import annotations

from typing import Any

from ray_async import exceptions as errors
from ray_async.runtime.session.state import SessionState
from ray_async.runtime.start import node_control
from ray_async.transport.channel import Channel, ChannelClosedError, connect_unix

__all__ = ("OtherState",)


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
