"""Slow clients: connections that wait for their client for too long are ended.

All connections are looked at once in a second, so a request has no timer. How far a client has come is counted by the
system's own numbers of the connection.
"""

from __future__ import annotations

import socket
import struct
from collections.abc import Collection
from enum import Enum
from typing import Any

__all__ = ("Awaited", "SlowClients", "cut")

_LEAST = 1024  # bytes that a client sends or takes in each `stall_timeout_s`
_LEAVING = 2.0  # seconds for a client to take the last answer and close the connection
_LATE = 2.0  # seconds between two looks; more means that the loop, or the process, has stood still
_ACKED = 120  # offset in Linux's struct tcp_info: two numbers of 64 bits, bytes that have arrived there and here
_INFO = _ACKED + 16
_NO_LINGERING = struct.pack("ii", 1, 0)


class Awaited(Enum):
    """What a connection waits for, of its client."""

    BEGINNING = "anything"
    HEAD = "the rest of a head"
    BODY = "a body"
    MORE = "more of a body, while its answer goes out"
    LEAVING = "the client to close the connection"
    REST = "a body that nobody needs any more"
    TAKING = "the client to take what was sent"


class SlowClients:
    """Finds connections whose clients are too slow.

    Args:
        head_timeout_s: Seconds for the whole head of a request, and for its first byte on a new connection; None: any.
        stall_timeout_s: Seconds in which a client must have sent, or taken, another part; None: any time.
    """

    def __init__(self, head_timeout_s: float | None, stall_timeout_s: float | None) -> None:
        self._head = head_timeout_s
        self._stall = stall_timeout_s
        self._seen: dict[Any, tuple[Awaited, float, int]] = {}
        self._looked: float | None = None

    def look(self, connections: Collection[Any], now: float) -> list[tuple[Any, Awaited]]:
        """Look at all connections.

        Args:
            connections: The connections.
            now: The loop's time.

        Returns:
            Those whose clients are too slow, and what was awaited.
        """
        lost = 0.0 if self._looked is None else now - self._looked
        forgiven = lost if lost > _LATE else 0.0
        self._looked = now
        seen: dict[Any, tuple[Awaited, float, int]] = {}
        slow: list[tuple[Any, Awaited]] = []
        for connection in connections:
            awaited: Awaited | None = connection.awaited()
            if awaited is None:
                continue
            is_fixed, timeout = self._limit(awaited)
            if timeout is None:
                continue
            known = self._seen.get(connection)
            if known is None or known[0] is not awaited:
                seen[connection] = awaited, now, 0 if is_fixed else _progress(connection, awaited)
                continue
            _, since, amount = known
            since = min(now, since + forgiven)
            if now - since >= timeout:
                reached = 0 if is_fixed else _progress(connection, awaited)
                if reached >= amount + (1 if awaited is Awaited.MORE else _LEAST):
                    since, amount = now, reached
                else:
                    slow.append((connection, awaited))
            seen[connection] = awaited, since, amount
        self._seen = seen
        return slow

    def _limit(self, awaited: Awaited) -> tuple[bool, float | None]:
        """Whether a time is for the whole, and its seconds."""
        if awaited is Awaited.LEAVING:
            return True, _LEAVING
        if awaited is Awaited.REST:
            return True, self._stall
        is_head = awaited in (Awaited.HEAD, Awaited.BEGINNING)
        return is_head, self._head if is_head else self._stall


def _progress(connection: Any, awaited: Awaited) -> int:
    """The bytes that a client has taken, or sent, so far."""
    try:
        info = connection.transport.get_extra_info("socket").getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _INFO)
        acked, received = struct.unpack_from("=QQ", info, _ACKED)
    except (AttributeError, OSError, struct.error):  # no connection by TCP: what is left to be taken gets less
        return -int(connection.transport.get_write_buffer_size())
    if awaited is Awaited.MORE:  # either side may be silent for long while the other one goes on
        return int(acked + received)
    return int(acked if awaited is Awaited.TAKING else received)


def cut(transport: Any) -> None:
    """Abort a connection, so that the system forgets what its client has not taken."""
    transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _NO_LINGERING)
    transport.abort()
