"""Websockets: uvicorn's protocol, with what Serve does in its own way."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import Any

from uvicorn.protocols.utils import ClientDisconnected
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

from ray_async.serve.ingress.slow_clients import Awaited, cut

__all__ = ("Websocket",)

_GRACE = 2.0  # seconds in which a handler may learn by itself that its client has gone


class Websocket(WebSocketsSansIOProtocol):
    """A websocket, which cancels its handler when the handler does not hear that its client has gone."""

    is_last = False

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.running: asyncio.Task[Any] | None = None
        self.refused: tuple[int, str] | None = None
        self.close_code = 1006
        self.gone = False  # whether the handler was cancelled since its client had gone
        self._knows = False  # whether the handler knows
        self.app = partial(self.app.answer, self)  # type: ignore[attr-defined]  # Serve's application has that

    def awaited(self) -> Awaited | None:
        """What the connection waits for: pings find all else."""
        return Awaited.TAKING if self.transport.get_write_buffer_size() else None

    def end(self, awaited: Awaited) -> None:
        """End a connection whose client takes nothing any more."""
        cut(self.transport)

    async def send(self, message: Any) -> None:
        """Send a message; the error of a client that has gone tells the handler so."""
        try:
            await super().send(message)
        except ClientDisconnected:
            self._knows = True
            raise
        if self.initial_response is not None and self.close_sent:  # refused by an answer, which is complete
            self.handshake_complete = True

    def connection_lost(self, exc: Exception | None) -> None:
        """Let the handler learn of the end, or cancel it."""
        super().connection_lost(exc)
        if self.running is not None:
            self.loop.call_later(_GRACE, self._cancel)

    def _cancel(self) -> None:
        unread = []
        while not self.queue.empty():
            unread.append(self.queue.get_nowait())
        codes = [int(message["code"]) for message in unread if message["type"] == "websocket.disconnect"]
        for message in unread:
            self.queue.put_nowait(message)
        if self.running is not None and codes and not self._knows:
            self.close_code = codes[0]
            self.gone = True
            self.running.cancel()
