"""Replies: the way back to a client, and what it is told of errors."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Awaitable, Callable
from time import perf_counter
from typing import Any

from starlette.exceptions import HTTPException

from ray_async.serve.exceptions import BackPressureError, DeploymentUnavailableError, RequestCancelledError
from ray_async.serve.ingress.connection import write_at_once
from ray_async.serve.ingress.plain_request import MalformedBody

__all__ = ("IDEMPOTENT", "ROUTE", "Reply", "RequestTimeout", "Send", "answer", "status_of", "timeout_of")

Send = Callable[[dict[str, Any]], Awaitable[None]]
IDEMPOTENT = frozenset({"GET", "HEAD", "OPTIONS"})  # methods of requests that may run twice
TEXT = b"text/plain; charset=utf-8"
ROUTE = "serve.route"  # in the message that begins a response: the route's template, from the replica that has run it


class RequestTimeout(TimeoutError):
    """A request that took longer than it may."""


class Reply:
    """The way back to the client; adds the request's id to the headers.

    Args:
        send: Sends a message.
        request_id: The request's id.

    Attributes:
        expired: Whether nothing more is to be sent: the time is over, or the websocket closed.
        status: The status, as it was sent; of a websocket its close code.
        failure: The status by which the client was told of an error, or would have been.
        complete: Whether all of it was sent, as far as somebody watches.
        completed_at: When that was.
        replica: The id of the replica that has run it.
        route: The route's template, where another process has found it.
        task: The asyncio task that answers the request, where somebody watches what becomes of it.
    """

    # Set in the object where they are something else: one is made for each request.
    started = False
    expired = False
    status = 0
    failure = 0
    completed_at = 0.0
    replica = ""
    route = ""
    complete = False
    task: asyncio.Task[Any] | None = None

    def __init__(self, send: Send, request_id: str) -> None:
        self._send = send
        self.request_id = request_id

    @property
    def outcome(self) -> int:
        """What has become of the request: of an answer that was cut off, why, and not the status that was sent."""
        if self.complete:
            return self.status
        if self.failure:
            return self.failure
        return 499 if self.task is not None and self.task.cancelling() else 500

    def send(self, message: dict[str, Any]) -> Awaitable[None]:
        """Send a message of the handler; nothing is sent once the reply has expired."""
        if self.expired:
            return _nothing()
        kind = message["type"]
        if kind == "http.response.body":
            if self.task is not None and not message.get("more_body"):
                return self._send_last(message)
        elif kind == "http.response.start":
            self.started = True
            self.status = message["status"]
            if ROUTE in message:
                self.route = message[ROUTE]
            message = {**message, "headers": self._headers(message.get("headers", ()))}
        elif kind == "websocket.accept":
            self.started = True
        elif kind == "websocket.close":
            self.expired = True
            self.closed(message.get("code", 1000) if self.started else 403)
        return self._send(message)

    async def _send_last(self, message: dict[str, Any]) -> None:
        await self._send(message)
        self._completed()

    def whole(self, body: bytes, content_type: bytes) -> Awaitable[None] | None:
        """Send what a handler has returned, as a whole.

        Args:
            body: The body.
            content_type: A content type of Serve's own.

        Returns:
            None when it is sent; else what is to be awaited for that.
        """
        if self.expired:
            return None
        self.started = True
        if write_at_once(self._send, content_type, body, self.request_id.encode("latin-1")):
            if self.task is not None:
                self.status = 200
                self.complete = True
                self.completed_at = perf_counter()
            return None
        return self._send_whole(200, body, content_type, self._headers(()))

    async def _send_whole(
        self, status: int, body: bytes, content_type: bytes, headers: list[tuple[bytes, bytes]]
    ) -> None:
        self.status = status
        await answer(self._send, status, body, content_type, headers)
        self._completed()

    def _completed(self) -> None:
        # What is sent to a client that has gone is dropped without an error.
        if self.task is not None and not self.task.cancelling():
            self.complete = True
            self.completed_at = perf_counter()

    def noting(self, receive: Callable[[], Awaitable[dict[str, Any]]]) -> Callable[[], Awaitable[dict[str, Any]]]:
        """The same way to receive, but a websocket's close code is noted, if that is wanted."""
        if self.task is None:
            return receive

        async def noted() -> dict[str, Any]:
            message = await receive()
            if message["type"] == "websocket.disconnect":
                self.closed(message.get("code", 1005))
            return message

        return noted

    def closed(self, code: int) -> None:
        """Note the code by which a websocket was closed, by either side."""
        if not self.complete:
            self.status = code
            self.complete = True

    async def answer(self, status: int, text: str, headers: dict[str, str] | None = None) -> None:
        """Answer by a text."""
        listed = [(key.lower().encode("latin-1"), value.encode("latin-1")) for key, value in (headers or {}).items()]
        await self._send_whole(status, text.encode(), TEXT, self._headers(listed))

    async def refuse(self, scope: dict[str, Any], status: int, text: str, code: int) -> None:
        """Refuse a websocket: by an HTTP answer where its server can give one, by a close code elsewhere."""
        self.closed(status)
        if "websocket.http.response" not in (scope.get("extensions") or {}):
            await self._send({"type": "websocket.close", "code": code, "reason": text})
            return
        await answer(self._send, status, text.encode(), TEXT, self._headers(()), kind="websocket.http.response")

    async def end_websocket(self, scope: dict[str, Any], status: int, text: str) -> None:
        """End a websocket whose handler has failed, unless the handler has closed it."""
        if self.expired:
            return
        if self.started:
            self.closed(1011)
            await self.send({"type": "websocket.close", "code": 1011})
        else:
            await self.refuse(scope, status, text, 1011)

    def _headers(self, headers: Any) -> list[tuple[bytes, bytes]]:
        kept = [item for item in headers if item[0] != b"x-request-id"]
        return [*kept, (b"x-request-id", self.request_id.encode("latin-1"))]


async def _nothing() -> None:
    """What sending does when nothing is to be sent."""


def status_of(error: Exception) -> tuple[int, str]:
    """The status and text by which a client is told of an error."""
    if isinstance(error, HTTPException):
        return error.status_code, str(error.detail)
    if isinstance(error, MalformedBody):
        return 400, f"The body is not valid JSON: {error}"
    if isinstance(error, BackPressureError):
        return error.status_code, str(error)
    if isinstance(error, DeploymentUnavailableError):
        return 503, str(error)
    if isinstance(error, RequestCancelledError):
        return 503, "The request was cancelled."
    if isinstance(error, RequestTimeout):
        return 408, "The request took too long."
    return 500, "Internal Server Error"


def timeout_of(headers: dict[bytes, bytes], default: float | None) -> float | None:
    """The seconds that a request may take; its own header goes before the server's option.

    Raises:
        HTTPException: The header is no positive number.
    """
    given = headers.get(b"x-request-timeout-seconds")
    if given is None:
        return default
    try:
        seconds = float(given)
    except ValueError:
        seconds = -1.0
    if not 0 < seconds < math.inf:
        raise HTTPException(400, "x-request-timeout-seconds must be a positive number")
    return seconds


async def answer(
    send: Send,
    status: int,
    body: bytes,
    content_type: bytes,
    headers: list[tuple[bytes, bytes]] | None = None,
    kind: str = "http.response",
) -> None:
    """Send a whole answer."""
    listed = [(b"content-type", content_type), (b"content-length", str(len(body)).encode()), *(headers or ())]
    await send({"type": f"{kind}.start", "status": status, "headers": listed})
    await send({"type": f"{kind}.body", "body": body})
