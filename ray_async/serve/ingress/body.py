"""Bodies of requests: read, and no larger than they may be."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from starlette.exceptions import HTTPException

__all__ = ("BodyTooLarge", "Receive", "limited", "read_all")

Receive = Callable[[], Awaitable[dict[str, Any]]]


class BodyTooLarge(HTTPException):
    """A body that is larger than `max_body_bytes`.

    Args:
        limit: The limit.
    """

    def __init__(self, limit: int) -> None:
        super().__init__(413, f"The body is larger than {limit} bytes.")
        self.limit = limit

    def __reduce__(self) -> Any:
        return BodyTooLarge, (self.limit,)


def limited(receive: Receive, headers: dict[bytes, bytes], limit: int | None) -> Receive:
    """The same, but for bodies that are too large: those raise.

    Args:
        receive: Gives the parts of the body.
        headers: The request's headers.
        limit: The most bytes; None: any number.

    Raises:
        BodyTooLarge: The headers say already that the body is too large.
    """
    if limit is None:
        return receive
    length = headers.get(b"content-length")
    if length is not None:  # the server sees to it that no more comes
        if int(length) > limit:
            raise BodyTooLarge(limit)
        return receive
    if b"transfer-encoding" not in headers:  # then there is no body
        return receive
    seen = 0

    async def counted() -> dict[str, Any]:
        nonlocal seen
        message = await receive()
        seen += len(message.get("body", b""))
        if seen > limit:
            raise BodyTooLarge(limit)
        return message

    return counted


async def read_all(receive: Receive) -> bytes:
    """Read a whole body."""
    parts = []
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise asyncio.CancelledError
        parts.append(message.get("body", b""))
        if not message.get("more_body"):
            return b"".join(parts)
