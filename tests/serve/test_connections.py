"""What happens on a connection, as raw bytes."""

import asyncio
import re
import socket
import threading
from collections.abc import Iterator
from typing import Any, cast

import httpx
import pytest
from starlette.requests import Request

import ray_async as ray
from ray_async import serve
from ray_async.serve.config import HTTPOptions
from ray_async.serve.ingress.connection import Connection
from ray_async.serve.ingress.listener import bind
from ray_async.serve.ingress.server import HTTPServer
from tests.serve.gate import Gated
from tests.serve.waiting import wait_until


@serve.deployment
class Parrot:
    async def __call__(self, request: Request) -> Any:
        parts = [part async for part in request.stream()] if request.query_params.get("stream") else None
        body = await request.body()
        assert await request.body() is body
        return {"parts": len(parts)} if parts is not None else body


@pytest.fixture
def connection(http: httpx.Client) -> Iterator[socket.socket]:
    serve.run(Parrot.bind())
    host, port = serve.status().http_address.split(":")
    with socket.create_connection((host, int(port)), timeout=60) as found:
        yield found


def read_until(connection: socket.socket, end: bytes) -> bytes:
    found = b""
    while end not in found:
        part = connection.recv(1 << 16)
        assert part, found
        found += part
    return found


def read_all(connection: socket.socket) -> bytes:
    found = b""
    while part := connection.recv(1 << 16):
        found += part
    return found


def test_the_head_of_an_answer(connection: socket.socket) -> None:
    connection.sendall(b"POST / HTTP/1.1\r\nhost: x\r\nx-request-id: mine\r\ncontent-length: 3\r\n\r\nabc")
    head, _, body = read_until(connection, b"abc").partition(b"\r\n\r\n")
    status, *headers = head.split(b"\r\n")
    assert (status, body) == (b"HTTP/1.1 200 OK", b"abc")
    found = dict(line.split(b": ", 1) for line in headers)
    assert re.fullmatch(rb"\w{3}, \d\d \w{3} \d{4} \d\d:\d\d:\d\d GMT", found.pop(b"date"))
    kind, length = b"text/plain", b"3"
    named = {b"server": b"uvicorn", b"content-type": kind, b"content-length": length, b"x-request-id": b"mine"}
    assert found == named


def test_pipelined_requests_are_answered_in_order(connection: socket.socket) -> None:
    asked = [b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 4\r\n\r\nno-%d" % number for number in range(5)]
    connection.sendall(b"".join(asked))
    assert re.findall(rb"no-\d", read_until(connection, b"no-4")) == [b"no-%d" % number for number in range(5)]


def test_a_body_in_chunks_and_a_stream(connection: socket.socket) -> None:
    chunked = b"POST %b HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n2\r\nab\r\n1\r\nc\r\n0\r\n\r\n"
    connection.sendall(chunked % b"/")
    assert read_until(connection, b"abc").endswith(b"\r\n\r\nabc")


def test_old_and_closing_clients(connection: socket.socket) -> None:
    connection.sendall(b"POST / HTTP/1.0\r\ncontent-length: 3\r\n\r\nold")
    answer = read_all(connection)
    assert b"connection: close" in answer
    assert answer.endswith(b"\r\n\r\nold")


def test_an_answer_to_head_has_no_body(http: httpx.Client, connection: socket.socket) -> None:
    answer = http.head("/")
    assert (answer.status_code, answer.content) == (200, b"")
    assert http.post("/", content=b"next").content == b"next"


def test_expected_bodies_are_asked_for(connection: socket.socket) -> None:
    connection.sendall(b"POST / HTTP/1.1\r\nhost: x\r\nexpect: 100-continue\r\ncontent-length: 3\r\n\r\n")
    assert read_until(connection, b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
    connection.sendall(b"abc")
    assert read_until(connection, b"abc").startswith(b"HTTP/1.1 200 OK")


class App:
    """An application that answers with nothing."""

    async def answer(self, connection: Any, scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 204, "headers": []})
        await send({"type": "http.response.body", "body": b""})


WEBSOCKET = b"GET / HTTP/1.1\r\nhost: x\r\nconnection: upgrade\r\nupgrade: websocket\r\n"
CASES = {
    "no request": (b"hello\r\n\r\n", [400]),
    "a host that is none": (b"GET http://[ HTTP/1.1\r\nhost: x\r\n\r\n", [400]),
    "a tunnel": (b"CONNECT a:80 HTTP/1.1\r\nhost: x\r\n\r\n", [400]),
    "two lengths": (b"POST / HTTP/1.1\r\ncontent-length: 3\r\ntransfer-encoding: chunked\r\n\r\nabc", [400]),
    "a bad length": (b"POST / HTTP/1.1\r\ncontent-length: 18446744073709551616\r\n\r\n", [400]),
    "a bad chunk": (b"POST / HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n", [400]),
    "a zero": (b"GET / HTTP/1.1\r\nx-request-id: a\0b\r\n\r\n", [400]),
    "a long line": (b"GET / HTTP/1.1\r\na: " + b"a" * (2 << 20), [431]),
    "many lines": (b"GET / HTTP/1.1\r\n" + b"a: b\r\n" * 200_000, [431]),
    "a long path": (b"GET /" + b"a" * (2 << 20), [431]),
    "nonsense after a request": (b"GET / HTTP/1.1\r\nhost: x\r\n\r\n\0\1", [200]),
    "a websocket by POST": (b"POST / HTTP/1.1\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n", [400]),
    "a websocket without a key": (b"GET / HTTP/1.1\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n", [400]),
    "a websocket with many lines": (WEBSOCKET + b"a: b\r\n" * 5000 + b"\r\n", [431]),
    "a websocket with a long line": (WEBSOCKET + b"a: " + b"a" * 20_000 + b"\r\n\r\n", [431]),
    "a websocket with a long path": (b"GET /" + b"a" * 20_000 + WEBSOCKET[5:] + b"\r\n", [431]),
    "a websocket after a request": (
        b"GET / HTTP/1.1\r\n\r\nGET / HTTP/1.1\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n",
        [200],
    ),
    "HTTP/2": (b"GET / HTTP/1.1\r\nconnection: Upgrade, HTTP2-Settings\r\nupgrade: h2c\r\n\r\n", [200]),
}


@pytest.mark.parametrize("case", CASES)
def test_what_is_not_understood_has_a_status_and_an_end(connection: socket.socket, case: str) -> None:
    sent, expected = CASES[case]
    sender = threading.Thread(target=connection.sendall, args=(sent,))  # the server may answer meanwhile
    sender.start()
    answer = read_all(connection)
    sender.join()
    assert [int(status) for status in re.findall(rb"HTTP/1\.1 (\d+) ", answer)] == expected
    assert b"connection: close" in answer.lower()


class SlowApp(App):
    """An application that answers each request when it is told so."""

    def __init__(self) -> None:
        self.turns = asyncio.Semaphore(0)

    async def answer(self, connection: Any, scope: Any, receive: Any, send: Any) -> None:
        await self.turns.acquire()
        await super().answer(connection, scope, receive, send)


async def test_no_more_is_read_while_requests_wait() -> None:
    listener = bind("127.0.0.1", 0)
    address, app = listener.getsockname(), SlowApp()
    server = HTTPServer(app, vars(HTTPOptions()))
    await server.start(listener)
    try:
        reader, writer = await asyncio.open_connection(*address)
        writer.write(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n" * 100)
        async with asyncio.timeout(60):
            while not (found := [one for one in server._state.connections if getattr(one, "pipeline", ())]):
                await asyncio.sleep(0.01)
            (connection,) = cast(list[Connection], found)
            waited = len(connection.pipeline)
            assert connection.flow.read_paused
            for turn in range(waited):
                app.turns.release()
                await reader.readuntil(b"\r\n\r\n")
                assert connection.flow.read_paused == (len(connection.pipeline) > 0), turn
            for _ in range(100 - waited):
                app.turns.release()
                await reader.readuntil(b"\r\n\r\n")
        writer.close()
        await writer.wait_closed()
    finally:
        await server.stop()


class LateApp(App):
    """An application that goes on when its answer is complete."""

    def __init__(self) -> None:
        self.cancelled = False

    async def answer(self, connection: Any, scope: Any, receive: Any, send: Any) -> None:
        await super().answer(connection, scope, receive, send)
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            self.cancelled = True
            raise


async def test_a_stop_after_the_answer_is_no_failure(caplog: pytest.LogCaptureFixture) -> None:
    listener = bind("127.0.0.1", 0)
    address, app = listener.getsockname(), LateApp()
    server = HTTPServer(app, vars(HTTPOptions()))
    await server.start(listener)
    try:
        reader, writer = await asyncio.open_connection(*address)
        writer.write(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n")
        assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 204 No Content")
    finally:
        await server.stop()
    writer.close()
    await writer.wait_closed()
    assert app.cancelled
    assert caplog.records == []


async def test_an_idle_connection_is_closed() -> None:
    listener = bind("127.0.0.1", 0)
    address = listener.getsockname()
    options = {**vars(HTTPOptions()), "keep_alive_timeout_s": 0.1}
    server = HTTPServer(App(), options)
    await server.start(listener)
    try:
        reader, writer = await asyncio.open_connection(*address)
        writer.write(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n")
        async with asyncio.timeout(60):
            assert (await reader.read()).startswith(b"HTTP/1.1 204 No Content")  # to its end
        writer.close()
        await writer.wait_closed()
    finally:
        await server.stop()


async def test_requests_wait_for_the_replica_that_has_their_connection(http: httpx.Client) -> None:
    await asyncio.to_thread(serve.run, Parrot.options(max_ongoing_requests=1).bind())
    limits = httpx.Limits(max_connections=16)
    async with httpx.AsyncClient(base_url=http.base_url, limits=limits, timeout=60) as client:
        bodies = [b"%d" % number * 2000 for number in range(64)]
        answers = await asyncio.gather(*[client.post("/", content=body) for body in bodies])
    assert [answer.content for answer in answers] == bodies


def test_who_leaves_while_waiting_is_not_served(http: httpx.Client, gate: Any) -> None:
    serve.run(Gated.options(max_ongoing_requests=1).bind(gate))
    host, port = serve.status().http_address.split(":")
    request = b"GET / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n"
    connections = [socket.create_connection((host, int(port)), timeout=60) for _ in range(3)]
    connections[0].sendall(request)
    wait_until(lambda: ray.get(gate.counts.remote())[0] == 1)
    connections[1].sendall(request)
    connections[2].sendall(request)
    connections[1].close()
    # The replica sees that end before a connection that is opened after it.
    assert http.get("/-/healthz").text == "success"
    ray.get(gate.open.remote())
    for connection in (connections[0], connections[2]):
        assert read_all(connection).startswith(b"HTTP/1.1 200 OK")
        connection.close()
    assert ray.get(gate.counts.remote()) == (2, 0)


async def test_who_leaves_ends_a_request_that_was_handed_over(http: httpx.Client, gate: Any) -> None:
    # All connections are those of one replica; what it hands over is cancelled with them.
    app = Gated.options(max_ongoing_requests=1)
    await asyncio.to_thread(serve.run, app.options(num_replicas=1).bind(gate))
    host, port = serve.status().http_address.split(":")
    connections = [socket.create_connection((host, int(port)), timeout=60) for _ in range(3)]
    for connection in connections:
        connection.sendall(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n")
    await asyncio.to_thread(serve.run, app.options(num_replicas=3).bind(gate))
    await asyncio.to_thread(wait_until, lambda: ray.get(gate.counts.remote())[0] == 3)
    for connection in connections:
        connection.close()
    await asyncio.to_thread(wait_until, lambda: ray.get(gate.counts.remote()) == (3, 3))
    await gate.open.remote()
    assert (await asyncio.to_thread(http.get, "/")).status_code == 200
