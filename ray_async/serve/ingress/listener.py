"""The listening socket: made by the controller, shared by all replicas that serve HTTP.

One socket, and not one for each replica on the same port: what waits in its queue is lost with nobody's end.
"""

from __future__ import annotations

import asyncio
import socket
from pathlib import Path

__all__ = ("Listener", "bind", "receive_listener")


def bind(host: str, port: int) -> socket.socket:
    """Listen at an address.

    Raises:
        OSError: The port is taken, or the host is none of this machine; the message names the address.
    """
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        listener = socket.socket(family, kind, protocol)
    except OSError as error:
        raise OSError(error.errno, f"Serve cannot listen on {host}:{port}: {error.strerror}") from None
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
        listener.listen(4096)
        listener.setblocking(False)
    except OSError as error:
        listener.close()
        raise OSError(error.errno, f"Serve cannot listen on {host}:{port}: {error.strerror}") from None
    return listener


class Listener:
    """Gives the listening socket to replicas, by a socket in Serve's folder.

    Args:
        folder: Serve's folder, which only its owner can enter.
        listening: The listening socket.
    """

    def __init__(self, folder: Path, listening: socket.socket) -> None:
        self.path = folder / "listener.sock"
        self._listening = listening
        self._server: socket.socket | None = None

    @property
    def address(self) -> tuple[str, int]:
        """Host and port."""
        host, port = self._listening.getsockname()[:2]
        return host, port

    @property
    def socket(self) -> socket.socket:
        """The listening socket."""
        return self._listening

    def start(self) -> None:
        """Begin to give the socket away."""
        self.path.unlink(missing_ok=True)
        self._server = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._server.setblocking(False)
        self._server.bind(str(self.path))
        self._server.listen(128)
        asyncio.get_running_loop().add_reader(self._server.fileno(), self._give)

    def _give(self) -> None:
        assert self._server is not None
        try:
            peer, _ = self._server.accept()
        except BlockingIOError:
            return
        with peer:
            socket.send_fds(peer, [b"l"], [self._listening.fileno()])

    def close(self) -> None:
        """Give it to nobody any more, and let go of it."""
        if self._server is not None:
            asyncio.get_running_loop().remove_reader(self._server.fileno())
            self._server.close()
            self.path.unlink(missing_ok=True)
        self._listening.close()


async def receive_listener(path: str) -> socket.socket:
    """Get the listening socket from the controller."""

    def receive() -> socket.socket:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as peer:
            peer.settimeout(30)
            peer.connect(path)
            _, descriptors, _, _ = socket.recv_fds(peer, 1, 1)
        listener = socket.socket(fileno=descriptors[0])
        listener.setblocking(False)
        return listener

    return await asyncio.to_thread(receive)
