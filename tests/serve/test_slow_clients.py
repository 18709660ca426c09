"""Clients that are too slow: with a request's head, its body, its answer, or the handshake of TLS."""

import asyncio
import contextlib
import select
import socket
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from starlette.requests import Request

import ray_async as ray
from ray_async import serve
from ray_async.serve.config import HTTPOptions
from ray_async.serve.ingress.listener import bind
from ray_async.serve.ingress.server import HTTPServer
from ray_async.serve.ingress.slow_clients import Awaited, SlowClients
from tests.serve.preloaded import PRELOADED
from tests.serve.test_connections import App, read_all, read_until
from tests.serve.test_tls import CERTIFICATE, KEY
from tests.serve.waiting import ongoing, wait_until

LARGE = 32 << 20  # bytes: more than all buffers on the way take


@pytest.fixture(scope="module")
def session() -> Iterator[None]:
    ray.init(num_cpus=4, log_to_driver=False, preload=PRELOADED)
    serve.start(serve.HTTPOptions(port=0, head_timeout_s=1, stall_timeout_s=1))
    yield
    serve.shutdown()
    ray.shutdown()


@serve.deployment(max_ongoing_requests=2)
class Reader:
    def __init__(self) -> None:
        self.ended: list[str] = []
        self.free = asyncio.Event()

    async def __call__(self, request: Request) -> Any:
        if "large" in request.query_params:
            return bytes(LARGE)
        if "stream" in request.query_params:
            return self.chunks()
        if "echo" in request.query_params:
            return self.echo(request)
        if "held" in request.query_params:
            return self.held()
        if "early" in request.query_params:
            return b"early"
        try:
            return await request.body()
        except BaseException as error:
            self.ended.append(type(error).__name__)
            raise

    async def chunks(self) -> Any:
        try:
            while True:
                yield bytes(1 << 16)
        finally:
            self.ended.append("stream")

    async def echo(self, request: Request) -> Any:
        try:
            async for part in request.stream():
                yield part
        finally:
            self.ended.append("echo")

    async def held(self) -> Any:
        yield b"first"
        await self.free.wait()
        yield b"last"

    async def let_go(self) -> None:
        self.free.set()

    async def seen(self) -> list[str]:
        return self.ended


@pytest.fixture
def connection(http: httpx.Client) -> Iterator[socket.socket]:
    serve.run(Reader.bind())
    host, port = serve.status().http_address.split(":")
    with socket.create_connection((host, int(port)), timeout=60) as found:
        yield found


def trickle(connection: socket.socket, piece: bytes) -> bytes:
    """Send a piece again and again, until an answer comes; the answer, to the end of the connection."""
    connection.settimeout(0.05)
    while True:
        connection.sendall(piece)
        with contextlib.suppress(TimeoutError):
            found = connection.recv(1 << 16)
            break
    connection.settimeout(60)
    return found + read_all(connection)


def test_a_connection_on_which_nothing_comes(connection: socket.socket) -> None:
    assert read_all(connection) == b""


@pytest.mark.parametrize("before", [b"", b"GET / HTTP/1.1\r\nhost: x\r\n\r\n"])
def test_a_head_that_never_ends(connection: socket.socket, before: bytes) -> None:
    connection.sendall(before)
    if before:
        read_until(connection, b"\r\n\r\n")
    connection.sendall(b"GET / HTTP/1.1\r\nhost: x\r\n")
    answer = trickle(connection, b"a: b\r\n")
    assert answer.startswith(b"HTTP/1.1 408 Request Timeout\r\n")
    assert b"connection: close" in answer
    assert answer.endswith(b"The request's head took too long.")


@pytest.mark.parametrize("kind", [b"content-length: 1000", b"transfer-encoding: chunked"])
@pytest.mark.parametrize("trickles", [False, True])
def test_a_body_that_does_not_come(http: httpx.Client, connection: socket.socket, kind: bytes, trickles: bool) -> None:
    connection.sendall(b"POST / HTTP/1.1\r\nhost: x\r\n%b\r\n\r\n" % kind)
    answer = trickle(connection, b"1\r\na\r\n") if trickles else read_all(connection)
    assert answer.startswith(b"HTTP/1.1 408 Request Timeout\r\n")
    assert answer.endswith(b"The request's body came too slowly.")
    wait_until(lambda: ongoing() == 0)
    assert http.post("/", content=b"next").content == b"next"  # the slot is free
    assert serve.get_app_handle("default").seen.remote().result() == ["CancelledError"]


def test_a_body_that_is_asked_for(connection: socket.socket) -> None:
    connection.sendall(b"POST / HTTP/1.1\r\nhost: x\r\nexpect: 100-continue\r\ncontent-length: 3\r\n\r\n")
    found = read_all(connection)
    assert found.startswith(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 408 Request Timeout\r\n")


HALF = b"POST /?%b=1 HTTP/1.1\r\nhost: x\r\ncontent-length: 1000\r\n\r\nhalf"


def test_a_body_that_stops_after_its_answer_has_begun(http: httpx.Client, connection: socket.socket) -> None:
    with socket.create_connection(connection.getpeername(), timeout=60) as other:
        other.sendall(HALF % b"held")
        read_until(other, b"first\r\n")
        connection.sendall(HALF % b"echo")
        assert read_all(connection).endswith(b"4\r\nhalf\r\n")  # without the end of the body
        wait_until(lambda: ongoing() == 1)
        handle: Any = serve.get_app_handle("default")
        assert handle.seen.remote().result() == ["echo"]
        handle.let_go.remote().result()  # whose handler does not wait for its body has all the time
        assert read_until(other, b"0\r\n\r\n").endswith(b"4\r\nlast\r\n0\r\n\r\n")
        wait_until(lambda: ongoing() == 0)


def test_a_body_that_goes_on_without_end_after_its_answer(connection: socket.socket) -> None:
    connection.sendall(b"POST /?early=1 HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n")
    assert read_until(connection, b"early").startswith(b"HTTP/1.1 200 OK")
    with pytest.raises(OSError, match=r"reset|pipe"):
        while True:
            connection.sendall(b"1000\r\n" + bytes(0x1000) + b"\r\n")


@pytest.mark.parametrize("query", ["large", "stream"])
def test_an_answer_that_nobody_reads(http: httpx.Client, connection: socket.socket, query: str) -> None:
    connection.sendall(b"GET /?%b=1 HTTP/1.1\r\nhost: x\r\n\r\n" % query.encode())
    read_until(connection, b"\r\n\r\n")
    poll = select.poll()
    poll.register(connection, 0)
    wait_until(lambda: poll.poll(0))  # the other side has ended it
    wait_until(lambda: ongoing() == 0)
    assert http.post("/", content=b"next").content == b"next"
    assert query != "stream" or serve.get_app_handle("default").seen.remote().result() == ["stream"]


def test_who_is_slow_but_goes_on_is_served(connection: socket.socket) -> None:
    size = 3 << 20
    connection.sendall(b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: %d\r\n\r\n" % size)
    for _ in range(size >> 12):
        connection.sendall(bytes(1 << 12))
    head, _, body = read_until(connection, b"\r\n\r\n").partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200 OK")
    while len(body) < size:
        body += connection.recv(1 << 12)
    assert body == bytes(size)


class FakeSocket:
    """A socket whose numbers the test sets."""

    received = 0

    def getsockopt(self, level: int, option: int, size: int) -> bytes:
        return bytes(120) + (0).to_bytes(8, "little") + self.received.to_bytes(8, "little")


class FakeConnection:
    """A connection that waits for what the test says."""

    def __init__(self, awaited: Awaited | None) -> None:
        self.waits = awaited
        self.socket = FakeSocket()
        self.transport = self

    def awaited(self) -> Awaited | None:
        return self.waits

    def get_extra_info(self, name: str) -> Any:
        return self.socket


def test_limits_on_a_fake_clock() -> None:
    slow = SlowClients(3, 5)
    head, body, quick = (FakeConnection(what) for what in (Awaited.HEAD, Awaited.BODY, Awaited.BODY))
    ended: dict[Any, int] = {}
    for second in range(20):
        quick.socket.received += 300
        body.socket.received += 100
        for one, _ in slow.look([one for one in (head, body, quick) if one not in ended], second):
            ended[one] = second
    assert ended == {head: 3, body: 5}


def test_who_waits_for_more_of_a_body_has_time_while_a_byte_goes_either_way() -> None:
    slow, silent, talks = SlowClients(3, 5), FakeConnection(Awaited.MORE), FakeConnection(Awaited.MORE)
    ended: dict[Any, int] = {}
    for second in range(40):
        talks.socket.received += second % 4 == 0
        for one, awaited in slow.look([one for one in (silent, talks) if one not in ended], second):
            assert awaited is Awaited.MORE
            ended[one] = second
    assert ended == {silent: 5}


def test_a_body_that_nobody_needs_has_a_time_for_the_whole() -> None:
    slow, rest = SlowClients(3, 5), FakeConnection(Awaited.REST)
    for second in range(5):
        rest.socket.received += 1 << 20
        assert slow.look([rest], second) == []
    assert slow.look([rest], 5) == [(rest, Awaited.REST)]


def test_time_in_which_the_loop_stood_still_is_not_the_clients() -> None:
    slow, head = SlowClients(3, 5), FakeConnection(Awaited.HEAD)
    assert slow.look([head], 0) == []
    assert slow.look([head], 1) == []
    assert slow.look([head], 100) == []
    assert slow.look([head], 101) == []
    assert slow.look([head], 102) == [(head, Awaited.HEAD)]


def test_a_wait_for_something_else_begins_anew() -> None:
    slow, one = SlowClients(3, 3), FakeConnection(Awaited.HEAD)
    for second, awaited in enumerate((Awaited.HEAD, Awaited.HEAD, None, Awaited.HEAD, Awaited.BODY, Awaited.BODY)):
        one.waits = awaited
        assert slow.look([one], second) == []
    assert slow.look([one], 7) == [(one, Awaited.BODY)]


def test_limits_may_be_switched_off() -> None:
    slow = SlowClients(None, None)
    connections = [FakeConnection(what) for what in Awaited if what is not Awaited.LEAVING]
    for second in range(0, 1000, 2):
        assert slow.look(connections, second) == []


async def test_a_handshake_that_does_not_end() -> None:
    listener = bind("127.0.0.1", 0)
    address = listener.getsockname()
    options = {**vars(HTTPOptions(ssl_keyfile=KEY, ssl_certfile=CERTIFICATE)), "head_timeout_s": 1}
    server = HTTPServer(App(), options)
    await server.start(listener)
    try:
        reader, writer = await asyncio.open_connection(*address)
        async with asyncio.timeout(60):
            with contextlib.suppress(ConnectionResetError):
                assert await reader.read() == b""
        writer.close()
        with contextlib.suppress(ConnectionResetError):
            await writer.wait_closed()
    finally:
        await server.stop()
