"""A connection of the HTTP server: uvicorn's protocol, with what Serve does in its own way."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from fcntl import ioctl
from functools import partial
from pathlib import Path
from termios import FIONREAD
from typing import Any, cast
from urllib.parse import unquote

import httptools
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol, RequestResponseCycle

from ray_async.serve.ingress.passing import pass_on
from ray_async.serve.ingress.relay import Relay

__all__ = ("Connection", "write_at_once")

_MOMENT = 1.0  # seconds
_GOODBYE = 1.0  # seconds for a client to answer the end of the encryption: one that is idle does not


class _LoopForConnection:
    """What a connection uses of its loop; the end of its idleness is looked for, not waited for by a timer each time.

    Args:
        loop: The loop.
    """

    __slots__ = ("create_task", "idle_since", "time")

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.create_task = loop.create_task
        self.time = loop.time
        self.idle_since: float | None = None

    def call_later(self, delay: float, callback: Callable[[], None]) -> _LoopForConnection:
        """Note that the connection is idle now."""
        self.idle_since = self.time()
        return self

    def cancel(self) -> None:
        """Note that it is not any more."""
        self.idle_since = None


class Connection(HttpToolsProtocol):
    """A connection, which cancels the request that it waits for when its client goes."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.running: asyncio.Task[Any] | None = None
        self._answering: asyncio.Task[None]
        self.passed_on = False  # whether another process has accepted it
        self._closing_since: float | None = None
        self._requests: Any = self.app
        self._waits = _LoopForConnection(self.loop)
        self.loop = cast(asyncio.AbstractEventLoop, self._waits)
        self.app = partial(self._requests.answer, self)

    def end_if_idle(self, now: float) -> None:
        """Close the connection when nothing has come on it for too long.

        Args:
            now: The loop's time.
        """
        since = self._waits.idle_since
        if since is not None and now - since >= self.timeout_keep_alive:
            self.timeout_keep_alive_handler()

    def is_in_use(self, now: float) -> bool:
        """Tell whether a request runs on the connection, or one has a moment ago.

        Args:
            now: The loop's time.
        """
        since = self._waits.idle_since
        return since is None or now - since < _MOMENT

    def has_unread(self) -> bool:
        """Tell whether something has come on the connection that the loop has not read yet: a close would lose it."""
        connection = self.transport.get_extra_info("socket")
        if connection is None or self.transport.is_closing():
            return False
        return any(ioctl(connection.fileno(), FIONREAD, bytes(4)))

    def is_over(self, now: float) -> bool:
        """Tell whether all that is missing is the client's part of the end of the encryption, for long enough.

        Args:
            now: The loop's time.
        """
        transport = self.transport
        if not transport.is_closing() or transport.get_extra_info("sslcontext") is None:
            return False
        if transport.get_write_buffer_size():
            return False
        if self._closing_since is None:
            self._closing_since = now
        return now - self._closing_since >= _GOODBYE

    def handle_websocket_upgrade(self) -> None:
        """Begin a websocket: here, or in the process that can serve it."""
        if not self.passed_on and self._pass_on():
            self.connections.discard(self)
            if self.transport.get_extra_info("sslcontext") is None:
                self.transport.abort()
        else:
            super().handle_websocket_upgrade()

    def _pass_on(self) -> bool:
        connection = self.transport.get_extra_info("socket")
        is_tls = self.transport.get_extra_info("sslcontext") is not None
        try:
            path = self._requests.elsewhere(unquote(httptools.parse_url(self.url).path.decode("ascii")))
        except (httptools.HttpParserInvalidURLError, UnicodeDecodeError):  # the websocket's protocol refuses it
            return False
        if path is None or connection is None:
            return False
        lines = [self.scope["method"].encode() + b" " + self.url + b" HTTP/1.1"]
        lines += [name + b": " + value for name, value in self.scope["headers"]]
        head = b"\r\n".join((*lines, b"", b""))
        return self._relay(path, head) if is_tls else pass_on(path, connection, head)

    def _relay(self, path: Path, head: bytes) -> bool:
        # The encryption cannot be passed on: the other process gets what is inside.
        ours, theirs = socket.socketpair()
        with theirs:
            passed = pass_on(path, theirs, head)
        if passed:
            relays: set[Any] = self.connections
            Relay(self.transport, ours, relays)
        else:
            ours.close()
        return passed

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: Any) -> None:
        """Answer a request in an asyncio task, which leaves the server's set by itself: a callback would cost more."""
        task = self.loop.create_task(self._answered(cycle))
        self._answering = task
        self.tasks.add(task)

    async def _answered(self, cycle: RequestResponseCycle) -> None:
        task = self._answering  # a connection has one at a time, and this one has just begun
        try:
            await self._requests.answer(self, cycle.scope, cycle.receive, cycle.send)
        except BaseException as error:
            await cycle.run_asgi(partial(_raise, error))  # what uvicorn does then
        else:
            if not cycle.response_complete:
                await cycle.run_asgi(_leave)
            cycle.on_response = _ignore
        finally:
            self.tasks.discard(task)

    @property
    def gone(self) -> bool:
        """Whether the client has left before it had its whole answer."""
        return bool(self.cycle) and self.cycle.disconnected

    def connection_lost(self, exc: Exception | None) -> None:
        """Cancel what runs for the client, unless the client has its answer already."""
        super().connection_lost(exc)
        if self.running is not None and self.gone:
            self.running.cancel()


async def _raise(error: BaseException, *asgi: Any) -> None:
    raise error


async def _leave(*asgi: Any) -> None:
    """An application that answers nothing more."""


def _ignore() -> None:
    """What a cycle calls that refers to its connection no more."""


_OK = STATUS_LINE[200]
_known: tuple[Any, bytes] = ((), b"")  # the server's own headers, as a list and as bytes


def write_at_once(send: Any, content_type: bytes, body: bytes, request_id: bytes) -> bool:
    """Write a whole answer of status 200 to a connection, in one piece and without the checks of what users send.

    Args:
        send: What sends messages of the response.
        content_type: A content type of Serve's own.
        body: The body.
        request_id: The request's id.

    Returns:
        Whether it is written; False where it has to be sent by messages.
    """
    global _known
    cycle = getattr(send, "__self__", None)
    if type(cycle) is not RequestResponseCycle or cycle.response_started or not cycle.keep_alive:
        return False
    if cycle.disconnected or cycle.access_log or cycle.flow.write_paused or cycle.scope["method"] == "HEAD":
        return False
    if cycle.default_headers is not _known[0]:
        lines = [name + b": " + value + b"\r\n" for name, value in cycle.default_headers]
        _known = cycle.default_headers, b"".join((_OK, *lines, b"content-type: "))
    length = b"\r\ncontent-length: %d\r\nx-request-id: " % len(body)
    cycle.transport.write(b"".join((_known[1], content_type, length, request_id, b"\r\n\r\n", body)))
    cycle.response_started = cycle.response_complete = True
    cycle.waiting_for_100_continue = cycle.chunked_encoding = False
    cycle.message_event.set()
    cycle.on_response()
    return True
