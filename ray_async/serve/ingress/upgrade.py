"""The upgrade of a connection to a websocket, which may belong to another process."""

from __future__ import annotations

import inspect
import socket
from collections.abc import Coroutine
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

import httptools

from ray_async.serve.ingress.passing import FULL, pass_on
from ray_async.serve.ingress.relay import Relay

if TYPE_CHECKING:
    from ray_async.serve.ingress.connection import Connection
    from ray_async.serve.ingress.places import Place

__all__ = ("Upgrade",)


class Upgrade:
    """A websocket that is about to begin on a connection.

    Args:
        connection: The connection.
        requests: What knows where websockets go.
    """

    def __init__(self, connection: Connection, requests: Any) -> None:
        self._connection = connection
        self._requests = requests

    def elsewhere(self) -> Coroutine[Any, Any, None] | None:
        """What is to be awaited where another process may serve the websocket; None: it begins here."""
        connection = self._connection
        if connection.transport.get_extra_info("socket") is None:
            return None
        try:
            path = unquote(httptools.parse_url(connection.url).path.decode("ascii"))
        except (httptools.HttpParserInvalidURLError, UnicodeDecodeError):  # the websocket's protocol refuses it
            return None
        place: Place = self._requests.elsewhere(path, dict(connection.scope["headers"]))
        return None if place is None else self._go(place)

    async def _go(self, place: Place) -> None:
        connection = self._connection
        path: Any = await place if inspect.iscoroutine(place) else place
        if connection.transport.is_closing():
            return
        if path is FULL:
            connection.refuse(503, "No replica is free for the websocket.")
        elif path is not None and await self._pass_on(path):
            connection.connections.discard(connection)
            if not connection.is_tls:
                connection.transport.abort()
        elif not connection.transport.is_closing():
            connection.upgrade_here()
            connection.resume()

    async def _pass_on(self, path: Path) -> bool:
        connection = self._connection
        lines = [connection.scope["method"].encode() + b" " + connection.url + b" HTTP/1.1"]
        lines += [name + b": " + value for name, value in connection.scope["headers"]]
        head = b"\r\n".join((*lines, b"", b""))
        if connection.is_tls:
            return await self._relay(path, head)
        own = connection.own_socket
        return own is not None and await pass_on(path, own, head)

    async def _relay(self, path: Path, head: bytes) -> bool:
        # The encryption cannot be passed on: the other process gets what is inside.
        connection = self._connection
        ours, theirs = socket.socketpair()
        with theirs:
            passed = await pass_on(path, theirs, head)
        if passed and not connection.transport.is_closing():
            relays: set[Any] = connection.connections
            Relay(connection.transport, ours, relays)
            connection.resume()
        else:
            ours.close()
        return passed
