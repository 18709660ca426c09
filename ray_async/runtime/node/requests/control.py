"""The control connections of the node: requests in, answers out. A bad request gets an error, and ends nothing."""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import Callable, Coroutine, Iterable, Sequence
from typing import Any

from ray_async.runtime.node.requests.messages import Answers, Message, Notices
from ray_async.transport.server import Peer, Server

__all__ = ("Control",)

_logger = logging.getLogger("ray_async.node")


class Control:
    """Answers the operations that processes of the session may ask for.

    Args:
        answers, notices: the operations, by noun.
        on_lost: called with a peer that has closed its connection.
    """

    def __init__(
        self, answers: Iterable[Answers], notices: Iterable[Notices], on_lost: Sequence[Callable[[Peer], None]]
    ) -> None:
        self._server = Server(self._received, self._lost)
        self._on_lost = on_lost
        self._late: set[asyncio.Task[None]] = set()  # answers for which others are asked
        self._answers: Answers = {}
        self._notices: Notices = {}
        for some in answers:
            self._answers.update(some)
        for others in notices:
            self._notices.update(others)

    def add(self, answers: Answers, notices: Notices) -> None:
        """Know further operations from now on."""
        self._answers.update(answers)
        self._notices.update(notices)

    async def start(self, inherited: Iterable[int], path: str) -> None:
        """Serve the sockets that came with the process (their descriptors, -1 for none), and listen for others."""
        for fd in inherited:
            if fd >= 0:
                await self._server.adopt(socket.socket(fileno=fd))
        await self._server.listen(path)

    def close(self) -> None:
        """Close all connections."""
        self._server.close()

    # -- messages ------------------------------------------------------------------------------------------------------

    def _received(self, peer: Peer, message: Message) -> None:
        op = message.get("op")
        notice = self._notices.get(op) if isinstance(op, str) else None
        answer = self._answers.get(op) if isinstance(op, str) else None
        reply: Message
        try:
            if notice is not None:
                notice(peer, message)
                return
            found = answer(peer, message) if answer is not None else {"error": f"the node knows no request {op!r}"}
            if isinstance(found, Coroutine):
                task = asyncio.ensure_future(self._reply_late(peer, message, found))
                self._late.add(task)
                task.add_done_callback(self._late.discard)
                return
            reply = found
        except Exception as error:
            # The node outlives any request; the asker learns what went wrong.
            reply = _refusal(op, error)
        _reply(peer, message, reply)

    async def _reply_late(self, peer: Peer, message: Message, answer: Coroutine[Any, Any, Message]) -> None:
        try:
            reply = await answer
        except Exception as error:
            reply = _refusal(message["op"], error)
        _reply(peer, message, reply)

    def _lost(self, peer: Peer) -> None:
        for lost in self._on_lost:
            lost(peer)


def _reply(peer: Peer, message: Message, reply: Message) -> None:
    if "id" in message:
        peer.send({**reply, "id": message["id"]})


def _refusal(op: Any, error: Exception) -> Message:
    if isinstance(error, KeyError | TypeError | ValueError | OverflowError):
        return {"error": f"{op}: {error}" if str(error) else f"{op}: a bad request", "kind": "ValueError"}
    if isinstance(error, RuntimeError):
        return {"error": str(error), "kind": "RuntimeError"}
    _logger.error("request %s failed", op, exc_info=error)
    return {"error": f"{op} failed in the node: {type(error).__name__}: {error}"}
