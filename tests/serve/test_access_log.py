"""Access logs: a line for each request, and what replicas log beside."""

import asyncio
import logging
import re
import socket
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import fastapi
import httpx
import pytest
import websockets
from starlette.middleware.base import BaseHTTPMiddleware
from starlette.requests import Request
from starlette.responses import StreamingResponse

import ray_async as ray
from ray_async import serve
from tests.serve.gate import Gated
from tests.serve.log_lines import json_lines, log_lines, wait_for_replicas
from tests.serve.waiting import replicas, wait_until

LINE = re.compile(
    r"INFO \d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d{3} (?P<component>\S+) (?P<replica>\S+) (?P<id>\S+) -- "
    r"(?P<method>\S+) (?P<route>\S+) (?P<status>\S+) (?P<ms>[\d.]+)ms"
)
JSON = {"encoding": "JSON"}


def line_of(request_id: str) -> dict[str, str]:
    """The one line of a request, once it is there."""
    wait_until(lambda: log_lines(f" {request_id} -- "))
    (line,) = log_lines(f" {request_id} -- ")
    match = LINE.fullmatch(line)
    assert match is not None, line
    return match.groupdict()


def status_of(request_id: str) -> str:
    return line_of(request_id)["status"]


@serve.deployment
class Plain:
    def __init__(self) -> None:
        self.held: asyncio.Event = asyncio.Event()

    async def __call__(self, request: Request) -> Any:
        kind = request.query_params.get("kind")
        if kind == "raise":
            raise ValueError("wrong")
        if kind == "hold":
            await self.held.wait()
        if kind in ("stream", "stream-raise", "stream-hold"):
            return self.stream(kind)
        if kind == "short":
            return StreamingResponse(iter(["ab"]), headers={"content-length": "10"})
        return "fine"

    async def stream(self, kind: str) -> AsyncIterator[str]:
        for part in ("a", "b", "c"):
            yield part
        if kind == "stream-raise":
            raise ValueError("in the middle")
        if kind == "stream-hold":
            await self.held.wait()


@serve.deployment
class Front:
    def __init__(self, back: Any) -> None:
        self.back = back

    async def __call__(self, request: Request) -> Any:
        return await self.back.double.remote(4)


@serve.deployment
class Back:
    def double(self, number: int) -> int:
        logging.getLogger("ray.serve").info("doubling %d", number)
        return 2 * number

    def fail(self) -> None:
        raise KeyError("x")

    async def count(self) -> AsyncIterator[int]:
        yield 1
        yield 2


def test_a_line_for_each_request(http: httpx.Client) -> None:
    serve.run(Front.options(logging_config={}).bind(Back.bind()), name="shop", route_prefix="/shop")
    answer = http.get("/shop/x", headers={"x-request-id": "line-1"})
    assert answer.json() == 8
    wait_until(lambda: len(log_lines(" line-1 ")) == 3)
    lines = [match.groupdict() for line in log_lines(" line-1 ") if (match := LINE.fullmatch(line))]
    by_method = {line["method"]: line for line in lines}
    assert by_method["GET"] | {"ms": "", "replica": ""} == {
        "component": "shop_Front",
        "replica": "",
        "id": "line-1",
        "method": "GET",
        "route": "/shop",
        "status": "200",
        "ms": "",
    }
    called = by_method["CALL"]
    assert (called["component"], called["route"], called["status"]) == ("shop_Back", "double", "OK")
    assert called["replica"] != by_method["GET"]["replica"]
    assert 0 < float(called["ms"]) <= float(by_method["GET"]["ms"])
    (said,) = log_lines("doubling 4")
    assert re.search(r"INFO .* shop_Back \w+ line-1 \S+:\d+ - doubling 4$", said)


def test_json(http: httpx.Client) -> None:
    serve.run(Front.bind(Back.bind()), name="shop", route_prefix="/shop", logging_config=JSON)
    wait_for_replicas(http, "/shop")
    http.get("/shop", headers={"x-request-id": 'j"son 1'})
    wait_until(lambda: len(json_lines('"j\\"son 1"')) == 3)
    lines = {line.get("method", "log"): line for line in json_lines('"j\\"son 1"')}
    line = lines["GET"]
    assert {key: line[key] for key in ("levelname", "route", "status", "application", "deployment", "request_id")} == {
        "levelname": "INFO",
        "route": "/shop",
        "status": "200",
        "application": "shop",
        "deployment": "Front",
        "request_id": 'j"son 1',
    }
    assert line["latency_ms"] > 0 and line["replica"] and line["message"] == "GET /shop 200"
    assert (lines["log"]["message"], lines["log"]["route"]) == ("doubling 4", "/shop")
    assert lines["CALL"]["deployment"] == lines["log"]["deployment"] == "Back"


def test_what_became_of_a_request(http: httpx.Client) -> None:
    serve.run(Plain.bind())
    url = str(http.base_url)
    for number, (kind, soon, status) in enumerate(
        [
            ("", False, "200"),
            ("raise", False, "500"),
            ("hold", True, "408"),
            ("stream", False, "200"),
            ("stream-raise", False, "500"),
            ("stream-hold", True, "408"),
            ("short", False, "500"),
        ]
    ):
        headers = {"x-request-id": f"became-{number}"} | ({"x-request-timeout-seconds": "0.3"} if soon else {})
        try:
            httpx.get(f"{url}/?kind={kind}", headers=headers, timeout=60)
        except httpx.RemoteProtocolError:
            assert kind in ("stream-raise", "stream-hold", "short")
        assert (kind, status_of(f"became-{number}")) == (kind, status)


def test_unknown_paths_and_strange_ids_stay_on_their_line(http: httpx.Client) -> None:
    http.get("/nothing%0Ahere", headers={"x-request-id": "lost"})
    wait_until(lambda: log_lines(" lost "))
    (line,) = log_lines(" lost ")
    assert '"/nothing\\nhere" 404' in line
    http.get("/none", headers={"x-request-id": "a -- GET /forged 200 1.0ms"})
    wait_until(lambda: log_lines("forged"))
    assert '"a -- GET /forged 200 1.0ms" -- GET /none 404' in log_lines("forged")[0]


def test_a_client_that_leaves_is_499(http: httpx.Client) -> None:
    serve.run(Plain.bind())
    host, port = serve.status().http_address.split(":")
    for kind in ("hold", "stream-hold"):
        with socket.create_connection((host, int(port))) as connection:
            request = f"GET /?kind={kind} HTTP/1.1\r\nhost: x\r\nx-request-id: left-{kind}\r\n\r\n"
            connection.sendall(request.encode())
            if kind == "stream-hold":
                received = b""
                while b"c\r\n" not in received:
                    received += connection.recv(1000)
        assert status_of(f"left-{kind}") == "499"


def test_one_line_for_a_request_that_was_handed_over(http: httpx.Client, gate: Any) -> None:
    handle = serve.run(Gated.options(max_ongoing_requests=1, num_replicas=2).bind(gate))
    held = [handle.remote(number) for number in range(2)]
    wait_until(lambda: ray.get(gate.counts.remote())[0] == 2)

    async def ask() -> None:
        async with httpx.AsyncClient(base_url=http.base_url, timeout=60) as client:
            asks = [
                asyncio.create_task(client.get("/", headers={"x-request-id": f"over-{number}"})) for number in range(4)
            ]
            await gate.open.remote()
            assert [answer.status_code for answer in await asyncio.gather(*asks)] == [200] * 4

    asyncio.run(ask())
    assert [response.result() for response in held] == [0, 1]
    for number in range(4):
        line = line_of(f"over-{number}")
        assert (line["component"], line["route"], line["status"]) == ("default_Gated", "/", "200")
        assert line["replica"] != "-"


def test_handle_calls(http: httpx.Client) -> None:
    handle = serve.run(Back.bind(), name="back", route_prefix=None)
    failing = handle.fail.remote()
    with pytest.raises(KeyError):
        failing.result()
    assert list(handle.options(stream=True).count.remote()) == [1, 2]
    wait_until(lambda: log_lines(" CALL count OK "))
    line = line_of(failing.request_id)
    assert (line["method"], line["route"], line["status"]) == ("CALL", "fail", "ERROR")


def api() -> Any:
    app = fastapi.FastAPI()
    router = fastapi.APIRouter()

    class Through(BaseHTTPMiddleware):
        async def dispatch(self, request: Any, call_next: Any) -> Any:
            return await call_next(request)

    app.add_middleware(Through)

    @router.get("/items/{item}")
    def item(item: int) -> int:
        return item

    @app.get("/later")
    def later(tasks: fastapi.BackgroundTasks) -> str:
        tasks.add_task(asyncio.sleep, 0.2)
        return "now"

    @app.websocket("/echo/{name}")
    async def echo(socket: fastapi.WebSocket, name: str) -> None:
        await socket.accept()
        if name == "close":
            await socket.close(4001)
            return
        if name == "raise":
            raise ValueError("wrong")
        try:
            while True:
                await socket.send_text(await socket.receive_text())
        except fastapi.WebSocketDisconnect:
            return

    app.include_router(router, prefix="/shop")
    return app


@serve.deployment
@serve.ingress(api)
class Api: ...


def test_templates_of_routes(http: httpx.Client) -> None:
    serve.run(Api.bind(), route_prefix="/api")
    for path, route, status in (
        ("/api/shop/items/7", "/api/shop/items/{item}", "200"),
        ("/api/shop/items/x", "/api/shop/items/{item}", "422"),
        ("/api/nothing", "unmatched", "404"),
    ):
        http.get(path, headers={"x-request-id": path[5:].replace("/", "-")})
        line = line_of(path[5:].replace("/", "-"))
        assert (line["route"], line["status"]) == (route, status)


def test_a_background_task_does_not_make_499(http: httpx.Client) -> None:
    serve.run(Api.bind(), route_prefix="/api")
    for number, headers in enumerate(({}, {"connection": "close"}, {})):
        with httpx.Client(base_url=http.base_url) as client:
            assert client.get("/api/later", headers={"x-request-id": f"later-{number}", **headers}).json() == "now"
        assert status_of(f"later-{number}") == "200"


async def test_a_websocket_has_one_line(http: httpx.Client) -> None:
    await asyncio.to_thread(serve.run, Api.bind(), route_prefix="/api")
    url = f"ws://{await asyncio.to_thread(lambda: serve.status().http_address)}/api/echo"
    expected = {"well": "1000", "close": "4001", "raise": "1011"}
    for name in expected:
        async with websockets.connect(f"{url}/{name}", additional_headers={"x-request-id": f"ws-{name}"}) as client:
            if name == "well":
                await client.send("hi")
                assert await client.recv() == "hi"
            else:
                with pytest.raises(websockets.ConnectionClosed):
                    await client.recv()
        line = await asyncio.to_thread(line_of, f"ws-{name}")
        assert (line["method"], line["route"]) == ("WEBSOCKET", "/api/echo/{name}")
        assert line["status"] == expected[name]
    with pytest.raises(websockets.InvalidStatus):
        await websockets.connect(url.replace("/api", "/other"), additional_headers={"x-request-id": "ws-lost"})
    assert (await asyncio.to_thread(line_of, "ws-lost"))["status"] == "404"


def test_what_is_switched_off_is_not_written(http: httpx.Client, tmp_path: Path) -> None:
    serve.run(Front.bind(Back.bind()))
    wait_for_replicas(http, "/")
    quiet = {"enable_access_log": False, "logs_dir": str(tmp_path)}
    serve.run(Front.options(logging_config=quiet).bind(Back.options(logging_config={"log_level": "WARNING"}).bind()))
    assert http.get("/", headers={"x-request-id": "quiet"}).json() == 8
    # A change of how to log changes running replicas, and no process is replaced.
    before = replicas()
    loud = {"logs_dir": str(tmp_path), "additional_log_standard_attrs": ["process", "name"]}
    serve.run(Front.options(logging_config=loud).bind(Back.options(logging_config={"log_level": "WARNING"}).bind()))
    assert replicas() == before
    assert http.get("/", headers={"x-request-id": "loud"}).json() == 8
    wait_until(lambda: log_lines(" loud ", tmp_path))
    (line,) = log_lines(" loud ", tmp_path)
    assert re.search(r" loud -- GET / 200 [\d.]+ms process=\d+ name=ray_async\.serve$", line)
    assert log_lines(" quiet ", tmp_path) == log_lines(" quiet ") == log_lines(" loud ") == []


def test_an_error_has_the_request_id_and_the_traceback(http: httpx.Client) -> None:
    serve.run(Plain.options(logging_config=JSON).bind())
    wait_for_replicas(http, "/")
    http.get("/?kind=raise", headers={"x-request-id": "broken"})
    wait_until(lambda: len(json_lines('"broken"')) == 2)
    failed = next(line for line in json_lines('"broken"') if line["levelname"] == "ERROR")
    assert "ValueError: wrong" in failed["exc_text"] and failed["deployment"] == "Plain"
