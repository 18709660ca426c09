"""Passing on: a connection goes, as it is, to another process of Serve's.

One that begins a websocket goes to the process that can serve it; an idle one of a process that ends goes to one that
stays, so that its client never sends a request into a connection that is just being closed. The other process answers
that it has taken the connection: until then it belongs to the sender, also when the other ends, or is stopped.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import struct
from collections.abc import Callable
from pathlib import Path

__all__ = ("FULL", "Passing", "pass_on", "passing_path", "passing_paths")

FULL = object()  # in place of the socket of a process: none takes a websocket

_ANSWER = 1.0  # seconds for the other process to take the connection
_PATIENCE = 2 * _ANSWER  # seconds for what a sender sends, which has given up by then
_TAKEN = b"t"
_LENGTH = struct.Struct("!I")
_NOTHING = _LENGTH.pack(0)

Factory = Callable[[bool], asyncio.Protocol]


def passing_path(folder: Path, place: int | str) -> Path:
    """The socket by which the replica in a slot of the board gets connections; the front has a word in place of it."""
    return folder / f"passing-{place}.sock"


def passing_paths(folder: Path) -> list[Path]:
    """The sockets of all processes that may take connections over."""
    return list(folder.glob("passing-*.sock"))


async def pass_on(path: Path, connection: socket.socket, head: bytes = b"") -> bool:
    """Give a connection away.

    Args:
        path: The other process's socket.
        connection: The connection, which nobody reads meanwhile, and of which this process must close its own copy
            once the other has it.
        head: What has been read of it.

    Returns:
        Whether the other process has it; it has not when it is ending, or does not answer.
    """
    loop = asyncio.get_running_loop()
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as peer:
        peer.setblocking(False)
        try:
            peer.connect(str(path))
            socket.send_fds(peer, [_LENGTH.pack(len(head))], [connection.fileno()])
            async with asyncio.timeout(_ANSWER):
                await loop.sock_sendall(peer, head)
                return await loop.sock_recv(peer, 1) == _TAKEN
        except TimeoutError:
            with contextlib.suppress(OSError):
                peer.shutdown(socket.SHUT_RDWR)  # from here on the other cannot say any more that it has taken it
                return peer.recv(1) == _TAKEN
        except OSError:
            pass
    return False


class Passing:
    """Takes over connections that other processes have accepted.

    Args:
        path: This process's socket.
        protocol: Makes the protocol of a connection; told whether a request has been read of it.
    """

    def __init__(self, path: Path, protocol: Factory) -> None:
        self._path = path
        self._protocol = protocol
        self._tasks: set[asyncio.Task[None]] = set()
        self._is_open = True
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
        loop = asyncio.get_running_loop()
        with peer:
            try:
                found = _received(peer)
                if found is None:
                    found = await asyncio.to_thread(_receive, peer)
            except (OSError, EOFError):  # the sender has ended, or keeps the connection
                return
            head, connection = found
            try:
                if not self._is_open:
                    raise ConnectionAbortedError
                peer.send(_TAKEN)
            except OSError:
                connection.close()
                return
        connection.setblocking(False)
        _, protocol = await loop.connect_accepted_socket(lambda: self._protocol(bool(head)), connection)
        if head:
            protocol.data_received(head)

    async def close(self) -> None:
        """Take no more, and wait until what was taken is a connection of this process's."""
        if self._is_open:
            self._is_open = False
            asyncio.get_running_loop().remove_reader(self._server.fileno())
            self._server.close()
            self._path.unlink(missing_ok=True)
        if self._tasks:
            await asyncio.wait(self._tasks)


def _received(peer: socket.socket) -> tuple[bytes, socket.socket] | None:
    """What a peer has sent already: a connection of which it has read nothing; None where that is not all, or not yet.

    Raises:
        EOFError: The peer has ended before.
    """
    peer.setblocking(False)
    try:
        prefix = peer.recv(_LENGTH.size, socket.MSG_PEEK)
    except BlockingIOError:
        return None
    return _receive(peer) if prefix == _NOTHING else None


def _receive(peer: socket.socket) -> tuple[bytes, socket.socket]:
    """What a peer sends: what it has read of a connection, and the connection.

    Raises:
        EOFError: The peer has ended before.
    """
    peer.settimeout(_PATIENCE)
    prefix, descriptors, _, _ = socket.recv_fds(peer, _LENGTH.size, 1)
    if not descriptors:
        raise EOFError
    try:
        (size,) = _LENGTH.unpack(prefix)
        head = bytearray()
        while len(head) < size:
            part = peer.recv(size - len(head))
            if not part:
                raise EOFError
            head += part
    except BaseException:
        os.close(descriptors[0])
        raise
    return bytes(head), socket.socket(fileno=descriptors[0])
