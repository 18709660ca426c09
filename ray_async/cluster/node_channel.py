"""An agent's connection to its own node process: requests, notices, and what the node says by itself."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from typing import Any, cast

from ray_async.transport.channel import connect_unix
from ray_async.transport.frames import FrameReader, pack

__all__ = ("NodeChannel",)


class NodeChannel(asyncio.Protocol):
    """One connection to a node's socket.

    Args:
        told: called with what the node says without being asked.
        lost: called when the node is gone.
    """

    def __init__(self, told: Callable[[dict[str, Any]], None], lost: Callable[[], None]) -> None:
        self._told = told
        self._lost = lost
        self._reader = FrameReader()
        self._transport: asyncio.Transport | None = None
        self._answers: dict[int, asyncio.Future[dict[str, Any]]] = {}
        self._next = 0

    @classmethod
    async def open(
        cls, session_dir: str, told: Callable[[dict[str, Any]], None], lost: Callable[[], None]
    ) -> NodeChannel:
        """Connect to the node of a session.

        Raises:
            OSError: it does not listen.
        """
        sock = connect_unix(os.path.join(session_dir, "node.sock"))
        sock.setblocking(False)
        _, channel = await asyncio.get_running_loop().create_connection(lambda: cls(told, lost), sock=sock)
        return channel

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport."""
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        """Hand out what is complete."""
        for message in self._reader.feed(data):
            if "id" not in message:
                self._told(message)
                continue
            waiting = self._answers.pop(message["id"], None)
            if waiting is not None and not waiting.done():
                waiting.set_result(message)

    def connection_lost(self, error: Exception | None) -> None:
        """Fail what waits for answers."""
        for waiting in self._answers.values():
            if not waiting.done():
                waiting.set_exception(ConnectionError("the node process is gone"))
        self._answers.clear()
        self._lost()

    def tell(self, op: str, **fields: Any) -> None:
        """Send a message that has no answer."""
        if self._transport is not None and not self._transport.is_closing():
            self._transport.write(pack({"op": op, **fields}))

    async def ask(self, op: str, **fields: Any) -> Any:
        """Send a request; returns the answer's value.

        Raises:
            ConnectionError: the node is gone.
            RuntimeError: it refused.
        """
        return (await self.ask_all(op, **fields)).get("value")

    async def ask_all(self, op: str, **fields: Any) -> dict[str, Any]:
        """The same; returns the whole answer.

        Raises:
            ConnectionError: the node is gone.
            RuntimeError: it refused.
        """
        if self._transport is None or self._transport.is_closing():
            raise ConnectionError("the node process is gone")
        self._next += 1
        waiting = self._answers[self._next] = asyncio.get_running_loop().create_future()
        self._transport.write(pack({"op": op, "id": self._next, **fields}))
        answer: dict[str, Any] = await waiting
        if "error" in answer:
            raise RuntimeError(answer["error"])
        return answer

    def close(self) -> None:
        """Close the connection."""
        if self._transport is not None:
            self._transport.close()
