"""Starlette's request, as plain deployments get it: made and read in less time."""

from __future__ import annotations

import json
from typing import Any

from starlette.requests import ClientDisconnect, Request, empty_send

__all__ = ("MalformedBody", "PlainRequest")


class MalformedBody(json.JSONDecodeError):
    """The client's body is no JSON."""


class PlainRequest(Request):
    """Starlette's request; its `json` tells the client's fault from the handler's.

    What Starlette's constructor sets for each request stands in the class, so that one nobody looks at costs little.

    Args:
        scope: The ASGI scope.
        receive: Gives the parts of the body.
    """

    _send = staticmethod(empty_send)
    _stream_consumed = False
    _is_disconnected = False
    _form = None

    def __init__(self, scope: Any, receive: Any) -> None:
        self.scope = scope
        self._receive = receive

    async def body(self) -> bytes:
        """The whole body."""
        if not hasattr(self, "_body"):
            if self._stream_consumed:
                raise RuntimeError("Stream consumed")
            parts: list[bytes] = []
            while not self._stream_consumed:
                message = await self._receive()
                if message["type"] == "http.disconnect":
                    self._is_disconnected = True
                    raise ClientDisconnect
                parts.append(message.get("body", b""))
                self._stream_consumed = not message.get("more_body", False)
            self._body = parts[0] if len(parts) == 1 else b"".join(parts)
        return self._body

    async def json(self) -> Any:
        """The body, decoded."""
        if not hasattr(self, "_json"):
            body = await self.body()
            try:
                self._json = json.loads(body)
            except json.JSONDecodeError as error:
                raise MalformedBody(error.msg, error.doc, error.pos) from error
        return self._json
