"""Answers of deployments without an ASGI application: ``__call__`` takes Starlette's request, or nothing, and returns
any value."""

from __future__ import annotations

import asyncio
import inspect
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

from ray_async.serve.ingress.encoding import encode
from ray_async.serve.ingress.reply import Reply
from ray_async.serve.ingress.unopened_request import UnopenedRequest
from ray_async.serve.loaded import loaded
from ray_async.serve.replica.runner import VALUES, Runner

__all__ = ("PlainApp",)


_LATER_S = 0.2  # seconds after a replica's start in which its first requests are answered
_NONE: tuple[Any, ...] = ()
_NOT_NAMED: dict[str, Any] = {}


class PlainApp:
    """Calls the handler and answers with what it returns.

    Args:
        runner: What calls the handler.
    """

    def __init__(self, runner: Runner) -> None:
        self._runner = runner
        self._takes_request = runner.takes_any("__call__")
        self._request: Callable[[Any, Any], Any] = self._first_request
        if self._takes_request and "starlette.requests" not in sys.modules:
            loop = asyncio.get_running_loop()
            loop.call_later(_LATER_S, loop.run_in_executor, None, _import_request)

    def _first_request(self, scope: Any, receive: Any) -> Any:
        """A request, which Starlette's import does not hold up: most of a replica's start would be that."""
        if "ray_async.serve.ingress.plain_request" not in sys.modules and "starlette.requests" not in sys.modules:
            return UnopenedRequest(scope, receive)
        self._request = _import_request()
        return self._request(scope, receive)

    async def __call__(self, scope: Any, receive: Any, reply: Reply) -> None:
        """Answer a request."""
        arguments = (self._request(scope, receive),) if self._takes_request else _NONE
        value = await self._runner.begin("__call__", arguments, _NOT_NAMED)
        if type(value) not in VALUES:
            if inspect.isawaitable(value):
                value = await value
            if isinstance(value, loaded("starlette.responses", "Response")):
                await value(scope, receive, reply.send)
                return
            if isinstance(value, AsyncIterator | Iterator):
                await self._stream(value, reply)
                return
        rest = reply.whole(*encode(value))
        if rest is not None:
            await rest

    async def _stream(self, source: Any, reply: Reply) -> None:
        items = self._runner.items(source)
        send = reply.send
        started = False
        try:
            async for item in items:
                body, kind = encode(item)
                if not started:
                    headers = [(b"content-type", kind)]
                    await send({"type": "http.response.start", "status": 200, "headers": headers})
                    started = True
                await send({"type": "http.response.body", "body": body, "more_body": True})
        finally:
            await items.aclose()  # type: ignore[attr-defined]
        if not started:
            headers = [(b"content-type", b"text/plain")]
            await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": b""})


def _import_request() -> Callable[[Any, Any], Any]:
    """The class of requests as handlers get them."""
    from ray_async.serve.ingress.plain_request import PlainRequest

    return PlainRequest
