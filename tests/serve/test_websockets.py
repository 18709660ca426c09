"""Websockets."""

import contextlib
import socket
import threading
from typing import Any

import fastapi
import httpx
import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection, connect

import ray_async as ray
from ray_async import serve


def api(gate: Any, **options: Any) -> Any:
    app = fastapi.FastAPI()

    @serve.deployment(**options)
    @serve.ingress(app)
    class Sockets:
        def __init__(self, word: str) -> None:
            self.word = word

        @app.websocket("/echo/{name}")
        async def echo(self, websocket: fastapi.WebSocket, name: str) -> None:
            await websocket.accept()
            try:
                while True:
                    text = await websocket.receive_text()
                    if text == "fail":
                        raise ValueError(text)
                    await websocket.send_json([self.word, name, text])
            except fastapi.WebSocketDisconnect:
                await gate.open.remote()

        @app.get("/")
        def root(self) -> str:
            return "http"

    return Sockets.bind("hi")


def open_socket(http: httpx.Client, path: str) -> ClientConnection:
    return connect(f"ws://{http.base_url.host}:{http.base_url.port}{path}", open_timeout=60, close_timeout=60)


def test_messages_both_ways(http: httpx.Client, gate: Any) -> None:
    serve.run(api(gate), route_prefix="/ws")
    with open_socket(http, "/ws/echo/me") as one, open_socket(http, "/ws/echo/you") as two:
        for text in ("a", "b"):
            one.send(text)
            two.send(text)
            assert (one.recv(60), two.recv(60)) == (f'["hi","me","{text}"]', f'["hi","you","{text}"]')
        assert http.get("/ws/").json() == "http"
    ray.get(gate.wait.remote())  # the handler has seen its client go


def test_what_serves_no_websockets_says_so(http: httpx.Client, gate: Any) -> None:
    @serve.deployment
    class Plain:
        async def __call__(self, request: Any) -> str:
            return "plain"

    serve.run(Plain.bind(), route_prefix="/plain")
    for path in ("/plain", "/nowhere"):
        with pytest.raises(InvalidStatus) as info:
            open_socket(http, path)
        assert info.value.response.status_code == 404
    assert http.get("/plain").text == "plain"


def test_a_full_replica_refuses(http: httpx.Client, gate: Any) -> None:
    serve.run(api(gate, max_ongoing_requests=1), route_prefix="/ws")
    with open_socket(http, "/ws/echo/me") as one:
        one.send("a")
        assert one.recv(60)
        with pytest.raises(InvalidStatus) as info:
            open_socket(http, "/ws/echo/you")
        assert info.value.response.status_code == 503
    ray.get(gate.wait.remote())
    with open_socket(http, "/ws/echo/you") as one:
        one.send("a")
        assert one.recv(60)


def test_a_connection_goes_to_the_application_that_it_is_for(http: httpx.Client, gate: Any) -> None:
    serve.run(api(gate), name="one", route_prefix="/one")
    serve.run(api(gate, max_ongoing_requests=1, num_replicas=2), name="two", route_prefix="/two")
    for _ in range(10):  # whichever replica has accepted the connection
        for path in ("/one", "/two"):
            with open_socket(http, f"{path}/echo/me") as one:
                one.send("x" * 10_000)
                assert len(one.recv(60)) > 10_000
    with contextlib.ExitStack() as stack:  # both replicas of the second are used, wherever the connections come
        for _ in range(2):
            one = stack.enter_context(open_socket(http, "/two/echo/me"))
            one.send("a")
            assert one.recv(60)
        with pytest.raises(InvalidStatus) as info:
            open_socket(http, "/two/echo/me")
        assert info.value.response.status_code == 503


def test_a_handler_that_fails(http: httpx.Client, gate: Any) -> None:
    serve.run(api(gate), route_prefix="/ws")
    with open_socket(http, "/ws/echo/me") as one:
        one.send("fail")
        with pytest.raises(ConnectionClosed) as info:
            one.recv(60)
        assert info.value.rcvd is not None and info.value.rcvd.code == 1011
    assert http.get("/ws/").json() == "http"


def test_the_end_closes_websockets(http: httpx.Client, gate: Any) -> None:
    serve.run(api(gate), name="ends", route_prefix="/ws")
    with open_socket(http, "/ws/echo/me") as one:
        one.send("a")
        assert one.recv(60)
        end = threading.Thread(target=serve.delete, args=("ends",))
        end.start()
        with pytest.raises(ConnectionClosed) as info:
            one.recv(60)
        assert info.value.rcvd is not None and info.value.rcvd.code in (1001, 1012)
        end.join()
    ray.get(gate.wait.remote())


def test_a_peer_that_is_reset(http: httpx.Client, gate: Any) -> None:
    serve.run(api(gate), route_prefix="/ws")
    with open_socket(http, "/ws/echo/me") as connection:
        connection.send("a")
        assert connection.recv(60)
        connection.socket.shutdown(socket.SHUT_RDWR)
        ray.get(gate.wait.remote())
