"""The node's end of the control connections, on its event loop."""

from __future__ import annotations

import asyncio
import os
import socket
import struct
from collections.abc import Awaitable, Callable
from typing import Any, cast

from ray_async.transport.frames import FrameError, FrameReader, pack

__all__ = ("Peer", "Server")

_BACKLOG = 100

Handler = Callable[["Peer", dict[str, Any]], Awaitable[None]]


class Peer(asyncio.Protocol):
    """One connection. ``notes`` are the handler's, to remember things by."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._reader = FrameReader()
        self._transport: asyncio.Transport | None = None
        self.notes: dict[str, Any] = {}

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Check who it is: only processes of our own user may talk to the node."""
        self._transport = cast("asyncio.Transport", transport)  # uvloop's is one in all but its class
        if not _same_user(transport.get_extra_info("socket")):
            self._transport.abort()
            return
        self._server.peers.add(self)

    def data_received(self, data: bytes) -> None:
        """Hand complete messages to the server's handler; cut off a peer that sends something else."""
        try:
            messages = self._reader.feed(data)
        except FrameError:
            if self._transport is not None:
                self._transport.abort()
            return
        for message in messages:
            self._server.received(self, message)

    def connection_lost(self, error: Exception | None) -> None:
        """Forget the peer."""
        self._server.peers.discard(self)
        self._server.lost(self)

    def send(self, message: dict[str, Any]) -> None:
        """Send a message; nothing happens when the peer is gone."""
        if self._transport is not None and not self._transport.is_closing():
            self._transport.write(pack(message))

    def backlog(self) -> int:
        """Bytes that the peer has not taken yet."""
        return self._transport.get_write_buffer_size() if self._transport is not None else 0

    def close(self) -> None:
        """Close the connection once what was sent is out."""
        if self._transport is not None:
            self._transport.close()


class Server:
    """All control connections of a node.

    Args:
        received: called with each message.
        lost: called when a peer is gone.
    """

    def __init__(self, received: Callable[[Peer, dict[str, Any]], None], lost: Callable[[Peer], None]) -> None:
        self.received = received
        self.lost = lost
        self.peers: set[Peer] = set()
        self._server: asyncio.Server | None = None
        self._path = ""

    async def adopt(self, sock: socket.socket) -> Peer:
        """Serve a connected socket that came with the process."""
        sock.setblocking(False)
        loop = asyncio.get_running_loop()
        _, peer = await loop.create_connection(lambda: Peer(self), sock=sock)
        return peer

    async def listen(self, path: str) -> None:
        """Accept connections at a path in the session's directory, which only our user can enter."""
        directory, name = os.path.split(path)
        fd = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        # The name appears once connections are accepted: whoever finds it can use it.
        hidden = os.path.join(directory, f".{name}")
        try:
            sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            sock.bind(f"/proc/self/fd/{fd}/.{name}" if os.path.isdir("/proc/self/fd") else hidden)
        finally:
            os.close(fd)
        os.chmod(hidden, 0o600)
        sock.listen(_BACKLOG)
        os.rename(hidden, path)
        self._path = path
        self._server = await asyncio.get_running_loop().create_unix_server(lambda: Peer(self), sock=sock)

    def close(self) -> None:
        """Stop listening and close all connections."""
        if self._server is not None:
            self._server.close()
        for peer in list(self.peers):
            peer.close()


def _same_user(sock: Any) -> bool:
    if not hasattr(socket, "SO_PEERCRED"):
        return True  # the directory's mode is what keeps others out
    raw = sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
    return bool(struct.unpack("3i", raw)[1] == os.getuid())
