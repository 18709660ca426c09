"""Relays: of a connection whose encryption belongs to this process, and which another process serves."""

from __future__ import annotations

import asyncio
import socket
from typing import Any

__all__ = ("Relay",)


class Relay:
    """Passes bytes on between a connection and a socket, both ways, until one of them ends.

    Args:
        transport: The connection's transport.
        other: The socket, which becomes the relay's.
        relays: Where the relay stands as long as it lives.
    """

    def __init__(self, transport: Any, other: socket.socket, relays: set[Any]) -> None:
        self._relays = relays
        self._front, self._back = _Side(self), _Side(self)
        self._front.other, self._back.other = self._back, self._front
        relays.add(self)
        transport.pause_reading()
        transport.set_protocol(self._front)
        self._front.transport = transport
        other.setblocking(False)
        self._task = asyncio.get_running_loop().create_task(self._connect(other))

    async def _connect(self, other: socket.socket) -> None:
        await asyncio.get_running_loop().connect_accepted_socket(lambda: self._back, other)
        self._front.transport.resume_reading()

    def end(self) -> None:
        """Close both sides."""
        self._relays.discard(self)
        for side in (self._front, self._back):
            if side.transport is not None:
                side.transport.close()

    def leave(self) -> None:
        """Go on: what is passed on belongs to another process, which ends it."""


class _Side(asyncio.Protocol):
    def __init__(self, relay: Relay) -> None:
        self.transport: Any = None
        self.other: Any = None
        self._relay = relay

    def connection_made(self, transport: Any) -> None:
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        self.other.transport.write(data)

    def pause_writing(self) -> None:
        """Read no more on the other side than this one takes."""
        self.other.transport.pause_reading()

    def resume_writing(self) -> None:
        self.other.transport.resume_reading()

    def connection_lost(self, exc: Exception | None) -> None:
        self._relay.end()
