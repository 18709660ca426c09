"""The control connection from a process to its node: for what is rare, and JSON both ways."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from ray_async import exceptions as errors
from ray_async._core.constants import NodeState

if TYPE_CHECKING:
    import socket

    from ray_async.transport.channel import Channel

__all__ = ("NodeLink",)

_NODE_START_S = 30.0
_ERRORS: dict[str, Callable[[str], BaseException]] = {"ValueError": ValueError, "RuntimeError": RuntimeError}


class NodeLink:
    """Asks the node, over a connection that is made at first use.

    Args:
        arena: the session's shared memory, joined.
        session_dir: where the node's socket is.
        node_died: makes the error for those who wait when the node is gone.
        channel: a connection that exists already.
    """

    def __init__(
        self, arena: Any, session_dir: str, node_died: Callable[[], BaseException], channel: Channel | None = None
    ) -> None:
        self._arena = arena
        self._path = os.path.join(session_dir, "node.sock")
        self._node_died = node_died
        self._channel = channel
        self._lock = threading.RLock()
        self._dropped = 0

    def channel(self) -> Channel:
        """The connection; made now where there is none yet."""
        with self._lock:
            if self._channel is None:
                from ray_async.transport.channel import Channel

                channel = Channel(self._connect())
                channel.send("hello", slot=self._arena.slot, pid=os.getpid())
                self._channel = channel
            return self._channel

    def _connect(self) -> socket.socket:
        """Connect to the node, which may still be on its way up when its first worker runs already."""
        from ray_async.transport.channel import connect_unix

        deadline = time.monotonic() + _NODE_START_S
        while True:
            try:
                return connect_unix(self._path)
            except (FileNotFoundError, ConnectionRefusedError) as error:
                if time.monotonic() > deadline or self._arena.node_state == NodeState.DOWN:
                    raise self._node_died() from error
                time.sleep(0.005)

    def ask(self, op: str, limit_s: float | None = None, **fields: Any) -> dict[str, Any]:
        """Send a request to the node and return its answer, waiting so many seconds for it at most.

        Raises:
            GetTimeoutError: it has not answered in time.
            NodeDiedError: the node is gone.
            RaySystemError: the node refused.
        """
        from ray_async.transport.channel import ChannelClosedError

        try:
            channel = self.channel()
            answer = channel.request(op, **fields) if limit_s is None else channel.request_within(limit_s, op, **fields)
        except ChannelClosedError as error:
            raise self._node_died() from error
        if answer is None:
            raise errors.GetTimeoutError(f"the node has not answered {op!r} within {limit_s} s")
        if "error" in answer:
            raise _ERRORS.get(answer.get("kind", ""), errors.RaySystemError)(answer["error"])
        return answer

    def ask_within(self, limit_s: float, op: str, **fields: Any) -> dict[str, Any] | None:
        """As `ask` over the connection there is, for what can be done without: None where no answer comes in time."""
        from ray_async.transport.channel import ChannelClosedError

        try:
            answer = self.channel().request_within(limit_s, op, **fields)
        except (ChannelClosedError, errors.NodeDiedError):
            return None
        return None if answer is None or "error" in answer else answer

    def notify(self, op: str, **fields: Any) -> None:
        """Send the node a message that has no answer; NodeDiedError as `ask`."""
        from ray_async.transport.channel import ChannelClosedError

        try:
            self.channel().send(op, **fields)
        except ChannelClosedError as error:
            raise self._node_died() from error

    def offer(self, op: str, **fields: Any) -> None:
        """Send the node a message that it can do without, and wait for nothing: not even for a node that stands still.

        It is dropped where the node takes none, or is gone. How many were since the last one that was sent is in the
        field ``dropped`` of the next.
        """
        from ray_async.transport.channel import ChannelClosedError

        dropped, self._dropped = self._dropped, 0
        try:
            channel = self._channel or self._connect_at_once()
            sent = channel is not None and channel.offer(op, dropped=dropped, **fields)
        except (ChannelClosedError, errors.NodeDiedError):
            sent = False
        if not sent:
            self._dropped += dropped + 1

    def _connect_at_once(self) -> Channel | None:
        """The connection, made now if the node has room in its queue; None otherwise, or while another thread waits."""
        from ray_async.transport.channel import Channel, connect_unix

        if self._arena.node_state == NodeState.STARTING:
            return self.channel()  # as any first message, this one waits for the node's start
        if not self._lock.acquire(blocking=False):
            return None
        try:
            if self._channel is None:
                channel = Channel(connect_unix(self._path, patient=False))
                channel.offer("hello", slot=self._arena.slot, pid=os.getpid())
                self._channel = channel
            return self._channel
        except OSError:  # its queue is full, or the node has ended
            return None
        finally:
            self._lock.release()

    def close(self) -> None:
        """Close the connection, if one was made."""
        if self._channel is not None:
            self._channel.close()
