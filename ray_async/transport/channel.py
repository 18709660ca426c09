"""A client's end of the control connection: one request at a time, blocking; from any thread."""

from __future__ import annotations

import os
import select
import socket
import threading
import time
from collections import deque
from typing import Any

from ray_async.transport.frames import FrameReader, pack

__all__ = ("Channel", "ChannelClosedError", "connect_unix")

_MAX_OFFERS = 256  # messages that wait for room in the socket


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
        self._writing = threading.Lock()  # beside the other, which a request holds until its answer has come
        self._rest = b""  # what is left of a message that an offer has begun to write
        self._offers: deque[bytes] = deque()
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
            if not self._write(pack({"id": number, "op": op, **fields}), deadline):
                return None
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
        try:
            self._write(pack({"op": op, **fields}), None)
        except OSError as error:
            raise ChannelClosedError(f"the control connection failed: {error}") from error

    def offer(self, op: str, **fields: Any) -> bool:
        """Send a message that has no answer, without ever waiting for the node.

        What the socket has no room for goes before the next message. Returns False, and drops the message, where too
        many wait already.

        Raises:
            ChannelClosedError: the node is gone.
        """
        if len(self._offers) >= _MAX_OFFERS:
            self._write_offers()
            if len(self._offers) >= _MAX_OFFERS:
                return False
        self._offers.append(pack({"op": op, **fields}))
        self._write_offers()
        return True

    def _write(self, data: bytes, deadline: float | None) -> bool:
        """Write a message after all that were offered before it. Returns False once the deadline has passed."""
        if deadline is None:
            with self._writing:  # an interrupt (Ctrl-C) leaves it locked in no case
                written = self._write_in_turn(data, None)
        elif self._writing.acquire(timeout=max(0.0, deadline - time.monotonic())):
            try:
                written = self._write_in_turn(data, deadline)
            finally:
                self._writing.release()
        else:
            return False
        self._write_offers()
        return written

    def _write_in_turn(self, data: bytes, deadline: float | None) -> bool:
        while self._rest or self._offers:
            if not self._can(select.POLLOUT, deadline):
                return False
            self._rest = rest = self._rest or self._offers.popleft()
            self._rest = rest[self._socket.send(rest) :]
        if not self._can(select.POLLOUT, deadline):
            return False
        self._socket.sendall(data)
        return True

    def _write_offers(self) -> None:
        # Whoever writes looks again afterwards, so that none is left that came meanwhile.
        while (self._rest or self._offers) and self._writing.acquire(blocking=False):
            try:
                while self._rest or self._offers:
                    self._rest = rest = self._rest or self._offers.popleft()
                    self._rest = rest[self._socket.send(rest, socket.MSG_DONTWAIT) :]
            except BlockingIOError:
                return
            except OSError as error:
                raise ChannelClosedError(f"the control connection failed: {error}") from error
            finally:
                self._writing.release()

    def close(self) -> None:
        """Close the connection; a thread that waits for an answer gets ChannelClosedError."""
        try:
            self._socket.shutdown(socket.SHUT_RDWR)
        except OSError:
            # The peer closed first: there is nothing left to shut down.
            self._socket.close()
            return
        self._socket.close()


def connect_unix(path: str, patient: bool = True) -> socket.socket:
    """Connect to a Unix socket, whatever the length of its path.

    Args:
        path: where it is.
        patient: whether to wait where others that the server has not yet accepted fill its queue.

    Raises:
        BlockingIOError: its queue is full, and this is not patient.
        OSError: nobody listens there.
    """
    directory, name = os.path.split(path)
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    fd = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        sock.setblocking(patient)
        sock.connect(f"/proc/self/fd/{fd}/{name}" if os.path.isdir("/proc/self/fd") else path)
        sock.setblocking(True)
    except BaseException:
        sock.close()
        raise
    finally:
        os.close(fd)
    return sock
