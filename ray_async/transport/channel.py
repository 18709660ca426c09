"""A client's end of the control connection: one request at a time, blocking; from any thread."""

from __future__ import annotations

import os
import select
import socket
import threading
import time
from typing import Any

from ray_async.transport.frames import FrameReader, pack

__all__ = ("Channel", "ChannelClosedError", "connect_unix")


class ChannelClosedError(ConnectionError):
    """The node does not answer any more."""


class Channel:
    """Requests and their answers over one socket.

    Args:
        sock: a connected stream socket, owned by the channel.
    """

    def __init__(self, sock: socket.socket) -> None:
        self._socket = sock
        self._lock = threading.Lock()
        self._reader = FrameReader()
        self._number = 0

    def request(self, op: str, **fields: Any) -> dict[str, Any]:
        """Send a request and wait for its answer.

        Raises:
            ChannelClosedError: the node is gone.
        """
        with self._lock:
            answer = self._request(op, fields, None)
            assert answer is not None
            return answer

    def request_within(self, limit_s: float, op: str, **fields: Any) -> dict[str, Any] | None:
        """Send a request and wait so many seconds for its answer at most; None where there is none by then.

        Raises:
            ChannelClosedError: the node is gone.
        """
        deadline = time.monotonic() + limit_s
        if not self._lock.acquire(timeout=limit_s):
            return None
        try:
            return self._request(op, fields, deadline)
        finally:
            self._lock.release()

    def _request(self, op: str, fields: dict[str, Any], deadline: float | None) -> dict[str, Any] | None:
        self._number += 1
        number = self._number
        try:
            if not self._can(select.POLLOUT, deadline):
                return None
            self._socket.sendall(pack({"id": number, "op": op, **fields}))
            while True:
                if not self._can(select.POLLIN, deadline):
                    return None
                data = self._socket.recv(1 << 16)
                if not data:
                    raise ChannelClosedError("the node closed the control connection")
                for message in self._reader.feed(data):
                    # An answer to a request that a deadline or an interrupt (Ctrl-C) abandoned is passed over.
                    if message.get("id") == number:
                        return message
        except OSError as error:
            if isinstance(error, ChannelClosedError):
                raise
            raise ChannelClosedError(f"the control connection failed: {error}") from error

    def _can(self, what: int, deadline: float | None) -> bool:
        """Wait until the socket can be read from or written to; False once the deadline has passed."""
        if deadline is None:
            return True
        waiting = select.poll()
        waiting.register(self._socket, what)
        return bool(waiting.poll(max(0.0, deadline - time.monotonic()) * 1000))

    def send(self, op: str, **fields: Any) -> None:
        """Send a message that has no answer.

        Raises:
            ChannelClosedError: the node is gone.
        """
        with self._lock:
            try:
                self._socket.sendall(pack({"op": op, **fields}))
            except OSError as error:
                raise ChannelClosedError(f"the control connection failed: {error}") from error

    def close(self) -> None:
        """Close the connection; a thread that waits for an answer gets ChannelClosedError."""
        try:
            self._socket.shutdown(socket.SHUT_RDWR)
        except OSError:
            # The peer closed first: there is nothing left to shut down.
            self._socket.close()
            return
        self._socket.close()


def connect_unix(path: str) -> socket.socket:
    """Connect to a Unix socket, whatever the length of its path."""
    directory, name = os.path.split(path)
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    fd = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        sock.connect(f"/proc/self/fd/{fd}/{name}" if os.path.isdir("/proc/self/fd") else path)
    except BaseException:
        sock.close()
        raise
    finally:
        os.close(fd)
    return sock
