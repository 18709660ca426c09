"""Bodies of requests: no larger than they may be, and read on where the connection is when the request is elsewhere."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import Any

import ray_async as ray
from ray_async.serve.frozen_dataclass import dataclass
from ray_async.serve.loaded import loaded

__all__ = ("Bodies", "Receive", "RestOfBody", "bodies", "limited", "read_start")

Receive = Callable[[], Awaitable[dict[str, Any]]]
BODY_TOO_LARGE = ("ray_async.serve.ingress.body_too_large", "BodyTooLarge")
_SHORT = 1 << 16  # bytes: shorter bodies are read whole before their request is handed over


def too_large(limit: int) -> Exception:
    """The error of a body that has more bytes than it may have."""
    from ray_async.serve.ingress.body_too_large import BodyTooLarge  # with Starlette's error, which few requests need

    return BodyTooLarge(limit)


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
            raise too_large(limit)
        return receive
    if b"transfer-encoding" not in headers:  # then there is no body
        return receive
    seen = 0

    async def counted() -> dict[str, Any]:
        nonlocal seen
        message = await receive()
        seen += len(message.get("body", b""))
        if seen > limit:
            raise too_large(limit)
        return message

    return counted


async def read_start(receive: Receive, headers: dict[bytes, bytes]) -> tuple[bytes, bool]:
    """Read the whole of a short body, and of any other, or one whose length is not known, the first part.

    Returns:
        What was read, and whether more comes.
    """
    length = headers.get(b"content-length")
    is_short = length is not None and int(length) <= _SHORT
    parts = []
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise asyncio.CancelledError
        parts.append(message.get("body", b""))
        more = message.get("more_body", False)
        if not (more and is_short):
            return b"".join(parts), more


class Bodies:
    """Bodies whose requests run in other processes, which ask for part after part.

    So no more of a body is in memory than what the connection's own buffer holds, and the client is held up by whoever
    reads slowly.
    """

    def __init__(self) -> None:
        self._numbers = itertools.count()
        self._receives: dict[int, Receive] = {}

    @contextmanager
    def lent(self, receive: Receive) -> Iterator[RestOfBody]:
        """Let another process read a body, as long as the block runs."""
        number = next(self._numbers)
        self._receives[number] = receive
        try:
            yield RestOfBody(ray.get_runtime_context().current_actor, number)
        finally:
            del self._receives[number]

    async def receive(self, number: int) -> dict[str, Any]:
        """The next part of a body, as an ASGI message; a disconnect when its request has ended."""
        receive = self._receives.get(number)
        return {"type": "http.disconnect"} if receive is None else await receive()


@dataclass(frozen=True)
class RestOfBody:
    """What is left of a body, as another process has it.

    Args:
        actor: The actor that has the connection.
        number: The body's number there.
    """

    actor: Any
    number: int

    async def receive(self) -> dict[str, Any]:
        """The next part, as an ASGI message.

        Raises:
            BodyTooLarge: The body is larger than it may be.
        """
        try:
            message: dict[str, Any] = await self.actor.receive_body.remote(self.number)
        except Exception as error:
            limit: int | None = getattr(error, "limit", None) if isinstance(error, loaded(*BODY_TOO_LARGE)) else None
            if limit is None:
                raise
            raise too_large(limit) from None
        return message


bodies = Bodies()
