"""Connections that go from one process of Serve's to another."""

import asyncio
import os
import signal
import socket
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import httpx
import pytest

from ray_async import serve
from ray_async.serve.ingress.passing import Passing, pass_on
from tests.serve.controller import replica_pids
from tests.serve.waiting import wait_until

FAST = {"metrics_interval_s": 0.1, "look_back_period_s": 0.2, "upscale_delay_s": 0, "downscale_delay_s": 0}


@serve.deployment
class Pid:
    def __init__(self, version: int = 0) -> None:
        pass

    def __call__(self) -> str:
        return str(os.getpid())


class Kept:
    """A connection that stays open, until an answer says that it was the last."""

    def __init__(self) -> None:
        host, port = serve.status().http_address.split(":")
        self._address = host, int(port)
        self.socket = socket.create_connection(self._address, timeout=60)

    def ask(self, request: bytes = b"GET / HTTP/1.1\r\nhost: x\r\n\r\n") -> int:
        """Ask for the process."""
        self.socket.sendall(request)
        found = b""
        while b"\r\n\r\n" not in found:
            part = self.socket.recv(1 << 16)
            assert part, "the connection was closed, and nobody had said so"
            found += part
        head, _, body = found.partition(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 200"), found
        headers = dict(line.split(b": ", 1) for line in head.split(b"\r\n")[1:])
        while len(body) < int(headers[b"content-length"]):
            body += self.socket.recv(1 << 16)
        if headers.get(b"connection") == b"close":
            self.socket.close()
            self.socket = socket.create_connection(self._address, timeout=60)
        return int(body)

    def close(self) -> None:
        """Close the connection that is open now."""
        self.socket.close()


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    with ExitStack() as found:
        yield found


def connections(stack: ExitStack, count: int) -> list[Kept]:
    found = [Kept() for _ in range(count)]
    for connection in found:
        stack.callback(connection.close)
    return found


def test_idle_connections_outlive_their_replicas(http: httpx.Client, stack: ExitStack) -> None:
    serve.run(Pid.options(num_replicas=2).bind())
    used = connections(stack, 8)
    fresh = connections(stack, 2)
    for connection in used:
        connection.ask()
    for version in range(1, 4):
        before = set(replica_pids().values())
        serve.run(Pid.options(num_replicas=2).bind(version))
        wait_until(lambda before=before: not before & set(replica_pids().values()))  # type: ignore[misc]
        assert {connection.ask() for connection in used} <= set(replica_pids().values())
    assert {connection.ask() for connection in fresh} <= set(replica_pids().values())


def test_idle_connections_outlive_the_last_replica(http: httpx.Client, stack: ExitStack) -> None:
    scaling = FAST | {"min_replicas": 0, "max_replicas": 1}
    serve.run(Pid.options(autoscaling_config=scaling).bind())
    used = connections(stack, 4)
    for _ in range(3):
        wait_until(lambda: replica_pids() == {})
        for connection in used:
            connection.ask()


def test_a_request_that_is_half_sent_stays(http: httpx.Client, stack: ExitStack) -> None:
    serve.run(Pid.bind())
    (connection,) = connections(stack, 1)
    pid = connection.ask()
    connection.socket.sendall(b"GET / HTT")
    os.kill(pid, signal.SIGTERM)
    wait_until(lambda: set(replica_pids().values()) - {pid})
    assert connection.ask(b"P/1.1\r\nhost: x\r\n\r\n")


@pytest.fixture
def pair() -> Iterator[tuple[socket.socket, socket.socket]]:
    one, two = socket.socketpair()
    with one, two:
        one.setblocking(False)
        two.setblocking(False)
        yield one, two


async def test_who_does_not_answer_has_nothing(tmp_path: Path, pair: tuple[socket.socket, socket.socket]) -> None:
    path = tmp_path / "p"
    with socket.socket(socket.AF_UNIX) as silent:
        silent.bind(str(path))
        silent.listen(1)
        assert not await pass_on(path, pair[0])
        assert not await pass_on(tmp_path / "missing", pair[0])
        peer, _ = silent.accept()
        with peer, pytest.raises(BrokenPipeError):
            peer.send(b"t")  # it cannot say any more that it has taken the connection


async def test_what_is_taken_arrives_with_what_was_read(
    tmp_path: Path, pair: tuple[socket.socket, socket.socket]
) -> None:
    class Received(asyncio.Protocol):
        def __init__(self, begun: bool) -> None:
            self.begun = begun
            made.put_nowait(self)
            self.data = b""

        def data_received(self, data: bytes) -> None:
            self.data += data
            if self.data.endswith(b"end"):
                ended.set()

        def connection_made(self, transport: asyncio.BaseTransport) -> None:
            self.transport = transport

    made: asyncio.Queue[Received] = asyncio.Queue()
    ended = asyncio.Event()
    head = bytes(1 << 18)
    passing = Passing(tmp_path / "p", Received)
    try:
        sending = asyncio.create_task(pass_on(tmp_path / "p", pair[0], head))
        assert await sending
        pair[1].send(b"end")
        protocol = await made.get()
        await ended.wait()
        assert (protocol.begun, protocol.data) == (True, head + b"end")
        protocol.transport.close()
    finally:
        await passing.close()
    assert not await pass_on(tmp_path / "p", pair[0])
