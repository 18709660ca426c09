"""Bodies of requests that are handed over: read where the connection is, part after part."""

import asyncio
import hashlib
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import httpx
import pytest
from starlette.requests import ClientDisconnect, Request

from ray_async import serve
from tests.serve.waiting import wait_until

HEAD = b"POST /two HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n"
LARGE = 64 * 2**20


@serve.deployment
class Other:
    async def __call__(self, request: Request) -> str:
        return "other"


@serve.deployment
class Digest:
    async def __call__(self, request: Request) -> str:
        return hashlib.sha256(await request.body()).hexdigest()


@serve.deployment
class Answers:
    """Answers each part as it comes."""

    async def __call__(self, request: Request) -> AsyncIterator[bytes]:
        async def answers() -> AsyncIterator[bytes]:
            async for part in request.stream():
                if part:
                    yield b"<" + part + b">"

        return answers()


@serve.deployment
class Held:
    def __init__(self, gate: Any, folder: Path) -> None:
        self.gate = gate
        self.folder = folder

    async def __call__(self, request: Request) -> int:
        await self.gate.wait.remote()
        size = 0
        try:
            async for part in request.stream():
                size += len(part)
                (self.folder / "begun").touch()
        except (asyncio.CancelledError, ClientDisconnect):
            (self.folder / "left").touch()
            raise
        return size


@pytest.fixture
def connection(http: httpx.Client) -> Iterator[socket.socket]:
    """A connection that belongs to a replica of `/zero` or `/one`, the only ones there were when it was made."""
    serve.run(Other.bind(), name="zero", route_prefix="/zero")
    serve.run(Other.bind(), name="one", route_prefix="/one")  # by now the controller accepts no connections any more
    with closing(socket.create_connection((http.base_url.host, http.base_url.port), timeout=60)) as connection:
        connection.sendall(b"GET /one HTTP/1.1\r\nhost: x\r\n\r\n")
        read_until(connection, b"other")
        yield connection


def chunk(data: bytes) -> bytes:
    return b"%x\r\n%s\r\n" % (len(data), data)


def read_until(connection: socket.socket, mark: bytes) -> bytes:
    data = b""
    while mark not in data:
        part = connection.recv(1 << 16)
        assert part, data
        data += part
    return data


@pytest.mark.parametrize("size", [0, 1000, 200_000, 5_000_000])
@pytest.mark.parametrize("chunked", [False, True])
def test_bodies_arrive_whole(connection: socket.socket, size: int, chunked: bool) -> None:
    serve.run(Digest.bind(), name="two", route_prefix="/two")
    body = bytes(range(251)) * (size // 251 + 1)
    body = body[:size]
    if chunked:
        parts = [chunk(body[start : start + 99_991]) for start in range(0, size, 99_991)]
        connection.sendall(HEAD + b"".join(parts) + b"0\r\n\r\n")
    else:
        connection.sendall(b"POST /two HTTP/1.1\r\nhost: x\r\ncontent-length: %d\r\n\r\n" % size + body)
    assert read_until(connection, hashlib.sha256(body).hexdigest().encode()).startswith(b"HTTP/1.1 200")


def test_answers_come_while_the_body_does(connection: socket.socket) -> None:
    serve.run(Answers.bind(), name="two", route_prefix="/two")
    connection.sendall(HEAD)
    for part in (b"one", b"two", b"three"):
        connection.sendall(chunk(part))
        read_until(connection, b"<" + part + b">")
    connection.sendall(b"0\r\n\r\n")
    read_until(connection, b"0\r\n\r\n")


def test_a_handler_that_does_not_read_holds_up_its_client(connection: socket.socket, gate: Any, tmp_path: Path) -> None:
    serve.run(Held.bind(gate, tmp_path), name="two", route_prefix="/two")
    connection.sendall(b"POST /two HTTP/1.1\r\nhost: x\r\ncontent-length: %d\r\n\r\n" % LARGE)
    connection.settimeout(1)
    block, sent = bytes(1 << 16), 0
    with pytest.raises(TimeoutError):
        while sent < LARGE:
            sent += connection.send(block)
    assert sent < LARGE / 2
    gate.open.remote()
    connection.settimeout(60)
    while sent < LARGE:
        sent += connection.send(block[: LARGE - sent])
    assert read_until(connection, str(LARGE).encode()).startswith(b"HTTP/1.1 200")


def test_a_client_that_leaves_within_the_body(connection: socket.socket, gate: Any, tmp_path: Path) -> None:
    serve.run(Held.bind(gate, tmp_path), name="two", route_prefix="/two")
    gate.open.remote()
    connection.sendall(HEAD + chunk(b"begun"))
    wait_until((tmp_path / "begun").exists)
    connection.close()
    wait_until((tmp_path / "left").exists)
