"""Passing on: a connection that begins a websocket goes, as it is, to the process that can serve it."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from pathlib import Path

__all__ = ("Passing", "pass_on", "passing_path")

_MOST = 1 << 20  # bytes of a request's head
_PATIENCE = 30  # seconds for what a process of Serve's sends to another

Factory = Callable[[], asyncio.Protocol]


def passing_path(folder: Path, place: int) -> Path:
    """The socket by which the replica in a slot of the board gets connections."""
    return folder / f"replica-{place}.sock"


def pass_on(path: Path, connection: socket.socket, head: bytes) -> bool:
    """Give a connection away.

    Args:
        path: The other process's socket.
        connection: The connection, of which this process must close its own copy then.
        head: What has been read of it.

    Returns:
        Whether the other process has it; it has not when it is ending.
    """
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as peer:
        peer.setblocking(False)
        try:
            peer.connect(str(path))
            sent = socket.send_fds(peer, [head], [connection.fileno()])
        except OSError:
            return False
        return sent == len(head)


class Passing:
    """Takes over connections that other processes have accepted.

    Args:
        path: This process's socket.
        protocol: Makes the protocol of a connection.
    """

    def __init__(self, path: Path, protocol: Factory) -> None:
        self._path = path
        self._protocol = protocol
        self._tasks: set[asyncio.Task[None]] = set()
        path.unlink(missing_ok=True)
        self._server = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._server.setblocking(False)
        self._server.bind(str(path))
        self._server.listen(128)
        asyncio.get_running_loop().add_reader(self._server.fileno(), self._accept)

    def _accept(self) -> None:
        try:
            peer, _ = self._server.accept()
        except BlockingIOError:
            return
        task = asyncio.get_running_loop().create_task(self._take(peer))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _take(self, peer: socket.socket) -> None:
        head, descriptors = await asyncio.to_thread(_receive, peer)
        if not descriptors:  # the sender has ended
            return
        connection = socket.socket(fileno=descriptors[0])
        connection.setblocking(False)
        _, protocol = await asyncio.get_running_loop().connect_accepted_socket(self._protocol, connection)
        protocol.data_received(head)

    def close(self) -> None:
        """Take no more."""
        asyncio.get_running_loop().remove_reader(self._server.fileno())
        self._server.close()
        self._path.unlink(missing_ok=True)


def _receive(peer: socket.socket) -> tuple[bytes, list[int]]:
    """All that a peer sends, and the descriptors with it."""
    with peer:
        peer.settimeout(_PATIENCE)
        head, descriptors, _, _ = socket.recv_fds(peer, _MOST, 1)
        while part := peer.recv(_MOST):
            head += part
    return head, descriptors
