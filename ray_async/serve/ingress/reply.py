"""Replies: the way back to a client, and what it is told of errors."""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable
from typing import Any

from starlette.exceptions import HTTPException

from ray_async.serve.exceptions import BackPressureError, DeploymentUnavailableError, RequestCancelledError
from ray_async.serve.ingress.connection import write_at_once
from ray_async.serve.ingress.plain_request import MalformedBody

__all__ = ("Reply", "RequestTimeout", "Send", "answer", "status_of", "timeout_of")

Send = Callable[[dict[str, Any]], Awaitable[None]]
TEXT = b"text/plain; charset=utf-8"


class RequestTimeout(TimeoutError):
    """A request that took longer than it may."""


class Reply:
    """The way back to the client; adds the request's id to the headers.

    Args:
        send: Sends a message.
        request_id: The request's id.
    """

    __slots__ = ("_send", "expired", "request_id", "started")

    def __init__(self, send: Send, request_id: str) -> None:
        self.started = False
        self.expired = False  # whether nothing more is to be sent: the time is over, or the websocket closed
        self._send = send
        self.request_id = request_id

    def send(self, message: dict[str, Any]) -> Awaitable[None]:
        """Send a message of the handler; nothing is sent once the reply has expired."""
        if self.expired:
            return _nothing()
        kind = message["type"]
        if kind == "http.response.start":
            self.started = True
            message = {**message, "headers": self._headers(message.get("headers", ()))}
        elif kind == "websocket.accept":
            self.started = True
        elif kind == "websocket.close":
            self.expired = True
        return self._send(message)

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
            return None
        return answer(self._send, 200, body, content_type, self._headers(()))

    async def answer(self, status: int, text: str, headers: dict[str, str] | None = None) -> None:
        """Answer by a text."""
        listed = [(key.lower().encode("latin-1"), value.encode("latin-1")) for key, value in (headers or {}).items()]
        await answer(self._send, status, text.encode(), TEXT, self._headers(listed))

    async def refuse(self, scope: dict[str, Any], status: int, text: str, code: int) -> None:
        """Refuse a websocket: by an HTTP answer where its server can give one, by a close code elsewhere."""
        if "websocket.http.response" not in (scope.get("extensions") or {}):
            await self._send({"type": "websocket.close", "code": code, "reason": text})
            return
        await answer(self._send, status, text.encode(), TEXT, self._headers(()), kind="websocket.http.response")

    async def end_websocket(self, scope: dict[str, Any], status: int, text: str) -> None:
        """End a websocket whose handler has failed, unless the handler has closed it."""
        if self.expired:
            return
        if self.started:
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
    if isinstance(error, BackPressureError | DeploymentUnavailableError):
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
