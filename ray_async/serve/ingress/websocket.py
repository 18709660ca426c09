"""Websockets: uvicorn's protocol, with what Serve does in its own way."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import Any

from uvicorn.protocols.http.httptools_impl import STATUS_LINE
from uvicorn.protocols.utils import ClientDisconnected
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from websockets.exceptions import SecurityError

from ray_async.serve.ingress.slow_clients import Awaited, cut

__all__ = ("Websocket",)

_TOO_LARGE = b"The websocket's head has too many lines, or too long ones."
_GRACE = 2.0  # seconds in which a handler may learn by itself that its client has gone, or say its last
_RESTARTS = 1012  # the code of a websocket that ends with its server


class Websocket(WebSocketsSansIOProtocol):
    """A websocket, which cancels its handler when the handler does not hear that its client has gone."""

    is_last = False

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.running: asyncio.Task[Any] | None = None
        self.refused: tuple[int, str] | None = None
        self.gone = False  # whether the handler was cancelled since its client had gone
        self._knows = False  # whether the handler knows
        self._leaves = False  # whether its server ends
        self._closed_by_handler = False
        self._answer: Any = partial(self.app.answer, self)
        self.app = self._answered

    @property
    def close_code(self) -> int:
        """The code by which the client has closed the websocket; 1005 where it has given none."""
        received = self.conn.close_rcvd
        return 1005 if received is None else int(received.code)

    async def _answered(self, *asgi: Any) -> None:
        """Run the handler; one that ends with its server ends with a close frame, whatever else it has sent."""
        try:
            await self._answer(*asgi)
        finally:
            if self._leaves:
                self._close()

    def leave(self) -> None:
        """Tell the handler that the server ends; the websocket is closed when the handler is done, or after a grace."""
        if self._leaves:
            return
        self._leaves = True
        if self.running is None or not self.handshake_complete or self.close_sent:
            self.shutdown()
            return
        self.queue.put_nowait({"type": "websocket.disconnect", "code": _RESTARTS, "reason": "the server ends"})
        self.loop.call_later(_GRACE, self._close)

    def _close(self) -> None:
        if self.disconnected or self.close_sent or not self.handshake_complete or self.transport.is_closing():
            return
        self.stop_keepalive()
        self.conn.send_close(_RESTARTS)
        self.transport.write(b"".join(self.conn.data_to_send()))
        self.close_sent = True
        self.transport.close()

    def awaited(self) -> Awaited | None:
        """What the connection waits for: pings find all else."""
        return Awaited.TAKING if self.transport.get_write_buffer_size() else None

    def end(self, awaited: Awaited) -> None:
        """End a connection whose client takes nothing any more."""
        cut(self.transport)

    def data_received(self, data: bytes) -> None:
        """Take what has come; a head that is a request by HTTP and yet no beginning of a websocket is refused."""
        super().data_received(data)
        error = self.conn.handshake_exc
        if error is not None and not self.handshake_initiated and not self.close_sent:
            self._refuse(isinstance(error.__cause__ or error, SecurityError))

    def _refuse(self, is_large: bool) -> None:
        self.close_sent = True
        status, text = (431, _TOO_LARGE) if is_large else (400, b"The websocket's head is malformed.")
        head = b"content-type: text/plain; charset=utf-8\r\ncontent-length: %d\r\n" % len(text)
        self.transport.write(b"".join((STATUS_LINE[status], head, b"connection: close\r\n\r\n", text)))
        if self.transport.can_write_eof():  # so that the client can read the answer while it sends
            self.transport.write_eof()
            self.loop.call_later(_GRACE, self.transport.close)
        else:
            self.transport.close()

    async def send(self, message: Any) -> None:
        """Send a message; the error of a client that has gone tells the handler so."""
        await self.writable.wait()
        if self.close_sent and not self._closed_by_handler:
            # A ping has found the client gone, or its server has closed it: the connection is about to be lost.
            self._knows = True
            raise ClientDisconnected
        try:
            await super().send(message)
        except ClientDisconnected:
            self._knows = True
            raise
        self._closed_by_handler = self.close_sent
        if self.initial_response is not None and self.close_sent:  # refused by an answer, which is complete
            self.handshake_complete = True

    def connection_lost(self, exc: Exception | None) -> None:
        """Let the handler learn of the end, or cancel it."""
        super().connection_lost(exc)
        if self.running is not None:
            self.loop.call_later(_GRACE, self._cancel)

    def _cancel(self) -> None:
        unheard = not self.queue.empty()  # the last message says that the client has gone
        if self.running is not None and unheard and not self._knows:
            self.gone = True
            self.running.cancel()
