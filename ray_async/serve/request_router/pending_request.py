"""Calls, as request routers see them."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

__all__ = ("PendingRequest", "ReplicaResult", "RequestMetadata")


@dataclass(frozen=True)
class RequestMetadata:
    """What is known of a call beside its arguments.

    Args:
        request_id: The request's id, the same down all calls.
        call_method: The method that is called.
        route: The route prefix by which the request came; empty for calls by handle alone.
        app_name: The application.
        multiplexed_model_id: The model that is asked for, or an empty string.
        is_streaming: Whether items are wanted as they come.
        headers: The headers of an HTTP request, with names in lower case; else empty.
    """

    request_id: str
    call_method: str = "__call__"
    route: str = ""
    app_name: str = ""
    multiplexed_model_id: str = ""
    is_streaming: bool = False
    headers: Mapping[str, str] = field(default_factory=dict)

    @property
    def is_http_request(self) -> bool:
        """Whether it is an HTTP request, as a websocket begins too, and no call by handle or gRPC."""
        return self.call_method in ("http", "websocket")

    @property
    def session_id(self) -> str:
        """What the header ``x-session-id`` of an HTTP request says; else empty."""
        return self.headers.get("x-session-id", "")


@dataclass(frozen=True)
class PendingRequest:
    """A call that waits for a replica.

    Args:
        args: Its arguments; none of an HTTP request.
        kwargs: Its keyword arguments, likewise.
        metadata: What is known of it.
        created_at: When it came, in seconds since the epoch.
    """

    args: tuple[Any, ...]
    kwargs: Mapping[str, Any]
    metadata: RequestMetadata
    created_at: float = field(default_factory=time.time)


class Routed(Protocol):
    """What was sent to a replica."""

    future: asyncio.Future[Any]

    def cancel(self) -> None:
        """Cancel it."""
        ...


class ReplicaResult:
    """What a replica gives for a call.

    Args:
        call: The call.
    """

    def __init__(self, call: Routed) -> None:
        self._call = call

    def add_done_callback(self, callback: Callable[[ReplicaResult], object]) -> None:
        """Call something once the replica has answered, on the router's loop.

        A stream has answered once a replica has taken the call.
        """

        def done(future: asyncio.Future[Any]) -> None:
            callback(self)

        self._call.future.add_done_callback(done)

    async def get_async(self) -> Any:
        """Wait for the answer; what waits may be cancelled, and the call goes on.

        Raises:
            Exception: What the call has raised.
        """
        return await asyncio.shield(self._call.future)

    def exception(self) -> BaseException | None:
        """What the call has raised; None where it has not, or is not done."""
        future = self._call.future
        return future.exception() if future.done() and not future.cancelled() else None

    def cancel(self) -> None:
        """Cancel the call."""
        self._call.cancel()
