"""A connection of the HTTP server: uvicorn's protocol, with what Serve does in its own way."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable, Collection
from fcntl import ioctl
from functools import partial
from pathlib import Path
from termios import FIONREAD
from typing import Any, cast

import httptools
from uvicorn.protocols.http.flow_control import FlowControl
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol, RequestResponseCycle

from ray_async.serve.ingress.passing import pass_on
from ray_async.serve.ingress.slow_clients import Awaited, cut
from ray_async.serve.ingress.upgrade import Upgrade

__all__ = ("Connection", "write_at_once")

_MOMENT = 1.0  # seconds
_MOST_HEAD = 1 << 16  # bytes of a request's head; what one read brings beyond is taken
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


class _Flow(FlowControl):
    """Flow control that reads no more while requests wait for those before them.

    Args:
        transport: The connection's transport.
        pipeline: The requests that wait.
    """

    def __init__(self, transport: asyncio.Transport, pipeline: Collection[Any]) -> None:
        super().__init__(transport)
        self._pipeline = pipeline

    def resume_reading(self) -> None:
        """Read on, if no request waits."""
        if self.read_paused and not self._pipeline:
            super().resume_reading()


class _Leaving:
    """What the last answer of a connection is written to.

    Args:
        connection: The connection.
    """

    __slots__ = ("close", "is_closing", "write")

    def __init__(self, connection: Connection) -> None:
        self.close = connection.leave
        self.is_closing = connection.transport.is_closing
        self.write = connection.transport.write


class Connection(HttpToolsProtocol):
    """A connection, which cancels the request that it waits for when its client goes."""

    cycle: Any  # None before the first request
    scope: Any  # None before the first head has begun

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.running: asyncio.Task[Any] | None = None
        self._answering: asyncio.Task[None]
        self.passed_on = False  # whether another process has accepted it, and read the request that it begins with
        self.is_last = False  # whether the next answer is the last one
        self.close_code = 0  # of a websocket
        self.refused: tuple[int, str] | None = None  # why the request that runs is cancelled: its body comes badly
        self._first: RequestResponseCycle | None = None  # the request that is being answered, or was last
        self._ends = False  # whether nothing more that comes is looked at
        self._leaves = False  # whether the client has had all, and is to close the connection
        self._asking = 0  # how many wait for a part of a body
        self._head: tuple[Any, int] = (None, 0)  # the scope and the bytes of a head that has not come whole
        self._closing_since: float | None = None
        self._passing: asyncio.Task[None] | None = None
        self._requests: Any = self.app
        self._waits = _LoopForConnection(self.loop)
        self.loop = cast(asyncio.AbstractEventLoop, self._waits)
        self.app = partial(self._requests.answer, self)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin, with flow control of Serve's own."""
        super().connection_made(cast(asyncio.Transport, transport))
        self.flow = _Flow(self.transport, self.pipeline)

    def data_received(self, data: bytes) -> None:
        """Take what has come; of a head no more than it may have."""
        self.timeout_keep_alive_task = None
        self._waits.idle_since = None
        if len(data) <= _MOST_HEAD:
            self._feed(data)
            return
        view = memoryview(data)
        while view and not self.transport.is_closing() and not self._ends:
            self._feed(view[:_MOST_HEAD])
            view = view[_MOST_HEAD:]

    def _feed(self, data: bytes | memoryview) -> None:
        if self._ends:
            return
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            self._upgrade()
        except httptools.HttpParserError:
            self._malformed()
        else:
            cycle, scope = self.cycle, self.scope
            if cycle is None or scope is not cycle.scope:
                known, length = self._head
                length = length + len(data) if known is scope else len(data)
                self._head = scope, length
                if length >= _MOST_HEAD:
                    self.refuse(431, "The request's head is too large.")

    def _upgrade(self) -> None:
        """Begin a websocket; where a client asks for something else, its request is answered by HTTP."""
        if not self._should_upgrade():
            self._end_after_requests()  # the parser reads nothing behind such a request
        elif self._is_busy():
            self._end_after_requests()
        elif self.scope["method"] != "GET" or self.scope["http_version"] != "1.1":
            self.refuse(400, "A websocket begins by GET and HTTP/1.1.")
        else:
            self._ends = True
            self.handle_websocket_upgrade()

    def _malformed(self) -> None:
        cycle = self.cycle
        if not self._is_busy():
            self.refuse(400, "Invalid HTTP request received.")
        elif cycle.more_body and not self.pipeline:
            self._refuse_running(400, "The request's body is malformed.")
        elif cycle.more_body:
            self.transport.close()
        else:
            self._end_after_requests()

    def _is_busy(self) -> bool:
        return self.cycle is not None and not self.cycle.response_complete

    def _end_after_requests(self) -> None:
        """Answer what has come whole, and end."""
        self._ends = True
        if self._is_busy():
            self._last_cycle()
        else:
            self.leave()

    def _last_cycle(self) -> None:
        self.cycle.keep_alive = False
        self.cycle.transport = cast(asyncio.Transport, _Leaving(self))

    def leave(self) -> None:
        """End the connection; its client can read the last answer, which a close would destroy while it sends."""
        if self.transport.can_write_eof() and not self.transport.is_closing():
            self._leaves = True
            self.transport.write_eof()
        else:
            self.transport.close()

    def _refuse_running(self, status: int, text: str) -> None:
        self._ends = True
        self._last_cycle()
        self.refused = status, text
        if self.running is not None:
            self._cancel_refused()
        else:  # its asyncio task takes its first step before this
            asyncio.get_running_loop().call_soon(self._cancel_refused)

    def _cancel_refused(self) -> None:
        if self.cycle.response_complete:
            return
        if self.running is None or self.cycle.response_started:
            self.transport.close()  # without the end of the answer
        else:
            self.running.cancel()

    def refuse(self, status: int, text: str) -> None:
        """Answer a request that has not begun to run, and end.

        Args:
            status: The status.
            text: The reason.
        """
        if self._is_busy():
            self._end_after_requests()
            return
        self._ends = True
        body = text.encode()
        lines = [name + b": " + value + b"\r\n" for name, value in self.server_state.default_headers]
        lines.append(b"content-type: text/plain; charset=utf-8\r\ncontent-length: %d\r\n" % len(body))
        self.transport.write(b"".join((STATUS_LINE[status], *lines, b"connection: close\r\n\r\n", body)))
        self.leave()

    def awaited(self) -> Awaited | None:
        """What the connection waits for, of its client; None: nothing, or there is time."""
        if self.transport.get_write_buffer_size():
            return Awaited.TAKING
        if self._ends or self.transport.is_closing():
            return Awaited.LEAVING if self._leaves else None
        cycle, scope = self.cycle, self.scope
        if cycle is None or cycle.response_complete:
            if scope is None:
                return Awaited.BEGINNING
            if cycle is None or scope is not cycle.scope:
                return Awaited.HEAD
            return Awaited.REST if self._waits.idle_since is None else None
        held_up = self.flow.read_paused or cycle.waiting_for_100_continue or self.pipeline
        if not cycle.more_body or held_up:
            return None
        return Awaited.BODY if not cycle.response_started else Awaited.MORE if self._asking else None

    def end(self, awaited: Awaited) -> None:
        """End a connection whose client is too slow.

        Args:
            awaited: What the client was to do.
        """
        if awaited is Awaited.TAKING:
            cut(self.transport)
        elif awaited is Awaited.HEAD:
            self.refuse(408, "The request's head took too long.")
        elif awaited in (Awaited.BODY, Awaited.MORE):
            self._refuse_running(408, "The request's body came too slowly.")
        else:
            self.transport.close()

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
        if not transport.is_closing() or not self.is_tls:
            return False
        if transport.get_write_buffer_size():
            return False
        if self._closing_since is None:
            self._closing_since = now
        return now - self._closing_since >= _GOODBYE

    @property
    def is_between_requests(self) -> bool:
        """Whether all requests that have come are answered, and nothing of another one is read."""
        cycle, scope = self._last_begun()
        if cycle is None or self._ends:
            return scope is None
        if not cycle.response_complete or cycle.more_body or cycle.scope is not scope or not cycle.keep_alive:
            return False
        return not self.transport.is_closing() and not self.transport.get_write_buffer_size()

    def _last_begun(self) -> tuple[RequestResponseCycle | None, Any]:
        """The last request of which the head is there, and the scope of the last one of which anything is."""
        return self.cycle, self.scope

    async def move(self, path: Path) -> bool:
        """Give the connection, which is paused and on which no request has begun, to another process.

        Args:
            path: The other process's socket.

        Returns:
            Whether the other process has it, or nobody needs it any more.
        """
        if self.transport.is_closing():
            return True
        connection = self.own_socket
        assert connection is not None
        moved = await pass_on(path, connection)
        if moved:
            self.transport.abort()  # of this process's copy
        return moved

    def pause(self) -> None:
        """Read nothing for a while."""
        self.transport.pause_reading()

    def end_with_next(self) -> None:
        """End the connection with the answer to the next request."""
        self.is_last = True
        if self._passing is None:
            self.resume()

    def resume(self) -> None:
        """Read on."""
        if not self.transport.is_closing():
            self.transport.resume_reading()

    def end_drained(self) -> None:
        """End the connection: at once, or with the answer to the request that has begun."""
        cycle, scope = self._last_begun()
        if scope is not None and (cycle is None or cycle.scope is not scope):
            self.end_with_next()  # a head has come in part
        else:
            self.shutdown()

    def handle_websocket_upgrade(self) -> None:
        """Begin a websocket: here, or in the process that can serve it."""
        upgrade = Upgrade(self, self._requests)
        if self.passed_on or (work := upgrade.elsewhere()) is None:
            self.upgrade_here()
        else:
            self.transport.pause_reading()
            self._passing = self.loop.create_task(work)

    def upgrade_here(self) -> None:
        """Begin a websocket in this process."""
        super().handle_websocket_upgrade()

    @property
    def own_socket(self) -> socket.socket | None:
        """The socket; None behind an encryption of uvloop's, and in tests."""
        found: socket.socket | None = self.transport.get_extra_info("socket")
        return found

    @property
    def is_tls(self) -> bool:
        """Whether the connection is encrypted, and cannot be moved therefore."""
        return self.transport.get_extra_info("sslcontext") is not None

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: Any) -> None:
        """Begin to answer a request, when those before it are answered.

        The asyncio task leaves the server's set by itself: a callback would cost more.
        """
        self._first = cycle
        if self.flow.read_paused:
            self.flow.resume_reading()
        task = self.loop.create_task(self._answered(cycle))
        self._answering = task
        self.tasks.add(task)

    async def _answered(self, cycle: RequestResponseCycle) -> None:
        task = self._answering  # a connection has one at a time, and this one has just begun
        receive = partial(self._receive, cycle) if cycle.more_body or cycle.body else cycle.receive
        try:
            await self._requests.answer(self, cycle.scope, receive, cycle.send)
        except BaseException as error:
            if isinstance(error, asyncio.CancelledError) and cycle.response_complete:
                raise  # of a server that stops: the client has its whole answer
            await cycle.run_asgi(partial(_raise, error))  # what uvicorn does then
        else:
            if not cycle.response_complete:
                await cycle.run_asgi(_leave)
            cycle.on_response = _ignore
        finally:
            self.tasks.discard(task)

    async def _receive(self, cycle: RequestResponseCycle) -> Any:
        if cycle.disconnected and cycle.body and not cycle.more_body:
            # What has come whole can be read though its client has gone: a batch may work on it, for others too.
            body, cycle.body = bytes(cycle.body), bytearray()
            return {"type": "http.request", "body": body, "more_body": False}
        self._asking += 1
        try:
            return await cycle.receive()
        finally:
            self._asking -= 1

    @property
    def gone(self) -> bool:
        """Whether the client has left before it had its whole answer."""
        return self._first is not None and self._first.disconnected

    def connection_lost(self, exc: Exception | None) -> None:
        """Cancel what runs for the client, unless the client has its answer already."""
        super().connection_lost(exc)
        first = self._first
        if first is not None and not first.response_complete:  # uvicorn looks at the last one that has come
            first.disconnected = True
            first.message_event.set()
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
