"""The ASGI application of deployments without one: ``__call__`` takes Starlette's request and returns any value."""

from __future__ import annotations

import inspect
import json
from collections.abc import AsyncIterator, Iterator
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from ray_async.serve.ingress.encoding import encode
from ray_async.serve.replica.runner import Runner

__all__ = ("MalformedBody", "PlainApp")


class MalformedBody(json.JSONDecodeError):
    """The client's body is no JSON."""


class PlainRequest(Request):
    """Starlette's request, whose `json` tells the client's fault from the handler's."""

    async def json(self) -> Any:
        """The body, decoded."""
        try:
            return await super().json()
        except json.JSONDecodeError as error:
            raise MalformedBody(error.msg, error.doc, error.pos) from error


class PlainApp:
    """Calls the handler and answers with what it returns.

    Args:
        runner: What calls the handler.
    """

    def __init__(self, runner: Runner) -> None:
        self._runner = runner

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Answer a request."""
        value = await self._runner.open("__call__", (PlainRequest(scope, receive),), {})
        if isinstance(value, Response):
            await value(scope, receive, send)
        elif inspect.isgenerator(value) or inspect.isasyncgen(value) or isinstance(value, AsyncIterator | Iterator):
            await self._stream(value, send)
        else:
            body, kind = encode(value)
            headers = [(b"content-type", kind), (b"content-length", b"%d" % len(body))]
            await send({"type": "http.response.start", "status": 200, "headers": headers})
            await send({"type": "http.response.body", "body": body})

    async def _stream(self, source: Any, send: Any) -> None:
        items = self._runner.items(source)
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
