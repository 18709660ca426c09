"""Streams that are faster than who reads them: the producer waits, and nothing of it fills the memory."""

import socket
from collections.abc import AsyncIterator, Iterator
from typing import Any

import httpx
import pytest
from starlette.requests import Request

from ray_async import serve
from tests.serve.sizes import size
from tests.serve.test_connections import read_until
from tests.serve.waiting import ongoing, wait_until

CHUNK = 64 << 10  # bytes
CHUNKS = size(1024, 32768)
MOST = 256  # chunks on the way while nobody reads


def chunk(number: int) -> bytes:
    return number.to_bytes(4, "big") * (CHUNK // 4)


class Counting:
    """Streams chunks, and counts them."""

    def __init__(self) -> None:
        self.made = self.closed = 0

    async def chunks(self) -> AsyncIterator[bytes]:
        try:
            for number in range(CHUNKS):
                self.made += 1
                yield chunk(number)
        finally:
            self.closed += 1

    def in_a_thread(self) -> Iterator[bytes]:
        try:
            for number in range(CHUNKS):
                self.made += 1
                yield chunk(number)
        finally:
            self.closed += 1

    async def __call__(self, request: Request) -> Any:
        kind = request.query_params.get("kind")
        return self.chunks() if kind == "async" else self.in_a_thread() if kind == "sync" else "other"

    async def seen(self) -> tuple[int, int, int]:
        """How many were made, how many streams were closed, and bytes of private memory."""
        with open("/proc/self/smaps_rollup") as file:
            private = sum(int(line.split()[1]) for line in file if line.startswith("Private"))
        return self.made, self.closed, private << 10


Direct = serve.deployment(max_ongoing_requests=100)(Counting)
Inner = serve.deployment(name="Inner")(Counting)


@serve.deployment(max_ongoing_requests=100)
class Middle:
    def __init__(self, inner: Any) -> None:
        self.inner = inner.options(stream=True)

    async def chunks(self) -> AsyncIterator[bytes]:
        async for value in self.inner.chunks.remote():
            yield value


@serve.deployment(max_ongoing_requests=100)
class Outer:
    def __init__(self, middle: Any) -> None:
        self.middle = middle.options(stream=True)

    async def __call__(self, request: Request) -> Any:
        return self.chunks() if request.query_params else "other"

    async def chunks(self) -> AsyncIterator[bytes]:
        async for value in self.middle.chunks.remote():
            yield value


def stopped(handle: Any, last: list[int]) -> bool:
    """Tell whether the count is as it was a while ago, in which others were served."""
    for _ in range(50):
        handle.seen.remote().result()
    last.append(handle.seen.remote().result()[0])
    return len(last) > 1 and last[-1] == last[-2] > 0


@pytest.mark.parametrize("kind", ["async", "sync", "stages"])
@pytest.mark.parametrize("leaves", [False, True])
@pytest.mark.parametrize("holder", ["replica", "front"])
def test_a_client_that_does_not_read(
    http: httpx.Client, front: httpx.Client, kind: str, leaves: bool, holder: str
) -> None:
    """Whoever holds the connection: a replica, or a front that hands the request over."""
    http = http if holder == "replica" else front
    if kind == "stages":
        serve.run(Outer.bind(Middle.bind(Inner.bind())))
        handle = serve.get_deployment_handle("Inner", "default")
    else:
        handle = serve.run(Direct.bind())
    before = handle.seen.remote().result()[2]
    with socket.create_connection((http.base_url.host, http.base_url.port or 0), timeout=60) as connection:
        connection.sendall(b"GET /?kind=%b HTTP/1.1\r\nhost: x\r\n\r\n" % kind.encode())
        head, _, rest = read_until(connection, b"\r\n\r\n").partition(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 200 OK")
        wait_until(lambda last=[]: stopped(handle, last))  # type: ignore[misc]
        made, _, private = handle.seen.remote().result()
        assert made < MOST
        assert private - before < 64 << 20
        assert httpx.get(str(http.base_url), timeout=60).text == "other"
        if not leaves:
            expected = CHUNKS * CHUNK
            with connection.makefile("rb") as file:
                read = Chunked(rest, file)
                for number in range(expected // CHUNK):
                    assert read.take(CHUNK) == chunk(number), number
    wait_until(lambda: handle.seen.remote().result()[1] == 1)
    wait_until(lambda: ongoing() == 0)
    assert handle.seen.remote().result()[0] < MOST or not leaves


class Chunked:
    """Reads a body that comes in HTTP's chunks."""

    def __init__(self, begun: bytes, file: Any) -> None:
        self._begun, self._file = begun, file
        self._body = bytearray()

    def take(self, count: int) -> bytes:
        while len(self._body) < count:
            length = int(self._line(), 16)
            self._body += self._exactly(length)
            assert self._exactly(2) == b"\r\n"
        taken = bytes(self._body[:count])
        del self._body[:count]
        return taken

    def _exactly(self, count: int) -> bytes:
        begun, self._begun = self._begun[:count], self._begun[count:]
        return begun + bytes(self._file.read(count - len(begun)))

    def _line(self) -> bytes:
        line = b""
        while not line.endswith(b"\r\n"):
            line += self._exactly(1)
        return line


def test_a_stream_that_nobody_iterates(http: httpx.Client) -> None:
    handle = serve.run(Direct.bind())
    stream = handle.options(stream=True).chunks.remote()
    wait_until(lambda last=[]: stopped(handle, last))  # type: ignore[misc]
    assert handle.seen.remote().result()[0] < MOST
    for number in range(CHUNKS):
        assert next(stream) == chunk(number)
    with pytest.raises(StopIteration):
        next(stream)
    assert handle.seen.remote().result()[1] == 1
