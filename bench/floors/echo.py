"""Echo of one byte between two event loops in two processes over a socket pair: what one await of another process
costs at least."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import time
from typing import cast

__all__ = ("echo_round_trips",)


class _Echo(asyncio.Protocol):
    """Sends back what comes, and ends its loop with the connection."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)
        self.closed = asyncio.get_running_loop().create_future()

    def data_received(self, data: bytes) -> None:
        self.transport.write(data)

    def connection_lost(self, error: Exception | None) -> None:
        self.closed.set_result(None)


class _Caller(asyncio.Protocol):
    """Completes the future of the round trip under way."""

    reply: asyncio.Future[bytes]

    def data_received(self, data: bytes) -> None:
        self.reply.set_result(data)


async def _serve(end: socket.socket) -> None:
    _, protocol = await asyncio.get_running_loop().create_connection(_Echo, sock=end)
    await protocol.closed


async def _call(end: socket.socket, count: int) -> float:
    loop = asyncio.get_running_loop()
    transport, caller = await loop.create_connection(_Caller, sock=end)
    start = 0.0
    for index in range(-1, count):  # the first one, the other loop's start, is not timed
        if index == 0:
            start = time.perf_counter()
        caller.reply = loop.create_future()
        transport.write(b"x")
        await caller.reply
    elapsed = time.perf_counter() - start
    transport.close()
    return elapsed


def _run_child(end: socket.socket) -> None:
    import uvloop

    try:
        uvloop.run(_serve(end))
    finally:
        os._exit(0)


def echo_round_trips(count: int) -> float:
    """Seconds that `count` awaited round trips between two uvloop loops take.

    Raises:
        ImportError: uvloop is not installed.
    """
    import uvloop

    ours, theirs = socket.socketpair()
    child = os.fork()
    if child == 0:
        ours.close()
        _run_child(theirs)
    theirs.close()
    try:
        return float(uvloop.run(_call(ours, count)))
    finally:
        ours.close()
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
