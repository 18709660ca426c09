"""The listening socket: made by the controller, shared by all replicas that serve HTTP.

One socket, and not one for each replica on the same port: what waits in its queue is lost with nobody's end.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import time
from pathlib import Path

__all__ = ("Listener", "bind", "find_listener", "listener_path", "receive_listener")

_PATIENCE = 30  # seconds that a replica waits for the socket, also while no controller is there to give it
_QUICK = 0.5  # seconds for one holder to give it back to a new controller


def listener_path(folder: Path, place: int | str | None = None) -> Path:
    """The socket by which the listening socket is had: of the controller, or of the replica in a slot of the board.

    The front is in no slot, and has a word in place of it.
    """
    return folder / ("listener.sock" if place is None else f"listener-{place}.sock")


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
    """Gives the listening socket to who asks by a socket in Serve's folder, which only its owner can enter.

    Args:
        path: That socket's path.
        listening: The listening socket, which is closed with this object.
    """

    def __init__(self, path: Path, listening: socket.socket) -> None:
        self.path = path
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
        with peer, contextlib.suppress(OSError):  # who asked has gone
            socket.send_fds(peer, [b"l"], [self._listening.fileno()])

    def close(self) -> None:
        """Give it to nobody any more, and let go of it."""
        if self._server is not None:
            asyncio.get_running_loop().remove_reader(self._server.fileno())
            self._server.close()
            self.path.unlink(missing_ok=True)
        self._listening.close()


async def receive_listener(path: str) -> socket.socket:
    """Get the listening socket from the controller, or from the next one where that was killed.

    Raises:
        OSError: Nobody has given it in time.
    """
    return await asyncio.to_thread(_receive_in_time, path)


def _receive_in_time(path: str) -> socket.socket:
    end = time.monotonic() + _PATIENCE
    while True:
        try:
            return _receive(path, _PATIENCE)
        except (OSError, EOFError):
            if time.monotonic() > end:
                raise
            time.sleep(0.05)


async def find_listener(folder: Path) -> socket.socket | None:
    """Get the listening socket from a replica that holds it; None if none gives it."""
    return await asyncio.to_thread(_find, sorted(folder.glob("listener-*.sock")))


def _find(paths: list[Path]) -> socket.socket | None:
    for path in paths:
        try:
            return _receive(str(path), _QUICK)
        except (OSError, EOFError):  # of a replica that was killed, or is stopped
            continue
    return None


def _receive(path: str, timeout: float) -> socket.socket:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as peer:
        peer.settimeout(timeout)
        peer.connect(path)
        _, descriptors, _, _ = socket.recv_fds(peer, 1, 1)
    if not descriptors:
        raise EOFError(f"{path} was closed before it gave the listening socket")
    listener = socket.socket(fileno=descriptors[0])
    listener.setblocking(False)
    return listener
