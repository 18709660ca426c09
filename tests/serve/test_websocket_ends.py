"""Ends of websockets: whatever the handler does, and however its client goes, nothing of it stays."""

import asyncio
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import fastapi
import httpx
import pytest
from uvicorn.protocols.utils import ClientDisconnected

import ray_async as ray
from ray_async import serve
from ray_async.serve.ingress.websocket import Websocket
from tests.serve.log_lines import log_lines
from tests.serve.preloaded import PRELOADED
from tests.serve.waiting import ongoing, wait_until

CLIENT = """
import os, signal, socket, struct, sys
from websockets.sync.client import connect
address, name, end = sys.argv[1:]
headers = {"x-request-id": name}
with connect(address, open_timeout=60, close_timeout=60, ping_interval=None, additional_headers=headers) as client:
    client.send("a")
    assert client.recv(60) == "a"
    if end == "reset":
        client.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        os._exit(0)
    if end == "silence":
        os.kill(os.getpid(), signal.SIGSTOP)
    client.close(1000)
"""


@pytest.fixture(scope="module")
def session() -> Iterator[None]:
    ray.init(num_cpus=4, log_to_driver=False, preload=PRELOADED)
    options = {"websocket_ping_interval_s": 1, "websocket_ping_timeout_s": 1}
    serve.start(serve.HTTPOptions(port=0, metrics=True, **options))  # type: ignore[arg-type]
    yield
    serve.shutdown()
    ray.shutdown()


def api(gate: Any) -> Any:
    app = fastapi.FastAPI()

    @serve.deployment
    @serve.ingress(app)
    class Ends:
        def __init__(self) -> None:
            self.told: list[Any] = []

        @app.websocket("/{kind}")
        async def talk(self, websocket: fastapi.WebSocket, kind: str) -> None:
            await websocket.accept()
            await websocket.send_text(await websocket.receive_text())
            try:
                if kind == "receives":
                    while (message := await websocket.receive())["type"] != "websocket.disconnect":
                        pass
                    self.told.append(message["code"])
                    await gate.wait.remote()  # who knows may clean up for as long as that takes
                elif kind == "sends":
                    while True:
                        await asyncio.sleep(0.1)  # as programs send
                        await websocket.send_text("tick")
                else:
                    await asyncio.Queue[str]().get()
            except BaseException as error:
                self.told.append(type(error).__name__)
                raise

        async def heard(self) -> tuple[list[Any], int]:
            return self.told, len(asyncio.all_tasks())

    return Ends.bind()


@contextmanager
def client_that_ends(address: str, name: str, end: str) -> Iterator[None]:
    """A client in a process of its own that closes its websocket, resets the connection, or stops and says nothing."""
    with subprocess.Popen([sys.executable, "-c", CLIENT, address, name, end]) as client:
        try:
            yield
        finally:
            client.kill()


EXPECTED: dict[Any, Any] = {  # what handlers are told
    ("receives", "well"): 1000,
    ("receives", "reset"): 1005,
    ("receives", "silence"): 1005,
    "sends": "WebSocketDisconnect",
    "waits": "CancelledError",
}


@pytest.mark.parametrize("end", ["well", "reset", "silence"])
@pytest.mark.parametrize("kind", ["receives", "sends", "waits"])
def test_ends(http: httpx.Client, gate: Any, kind: str, end: str) -> None:
    handle = serve.run(api(gate), route_prefix="/ws")
    name = f"{kind}-{end}"
    counted = count(http, "num_http_requests")
    before = handle.heard.remote().result()[1]
    failures = [line for line in log_lines() if is_failure(line)]
    address = f"ws://{http.base_url.host}:{http.base_url.port}/ws/{kind}"
    with client_that_ends(address, name, end):
        wait_until(lambda: handle.heard.remote().result()[0])
    expected: Any = EXPECTED[(kind, end) if kind == "receives" else kind]
    if kind == "receives":
        assert ongoing() == 1  # it is not cancelled
        ray.get(gate.open.remote())
    wait_until(lambda: ongoing() == 0)
    assert handle.heard.remote().result()[0] == [expected]
    wait_until(lambda: handle.heard.remote().result()[1] <= before)
    wait_until(lambda: log_lines(f" {name} "))
    (line,) = log_lines(f" {name} ")
    assert re.search(rf" {name} -- WEBSOCKET /ws/{{kind}} (1000|1005) ", line), line
    assert [line for line in log_lines() if is_failure(line)] == failures
    assert count(http, "num_http_requests") == counted + 1
    assert count(http, "num_http_error_requests") == 0


def test_sending_after_a_ping_has_found_the_client_gone() -> None:
    """The server has closed the websocket, and the loop has not said yet that the connection is lost."""

    async def run() -> None:
        websocket: Any = Websocket.__new__(Websocket)
        websocket.writable = asyncio.Event()
        websocket.writable.set()
        websocket.close_sent, websocket.disconnected, websocket._closed_by_handler = True, False, False
        with pytest.raises(ClientDisconnected):
            await websocket.send({"type": "websocket.send", "text": "tick"})
        assert websocket._knows

    asyncio.run(run())


def is_failure(line: str) -> bool:
    return "Traceback" in line or "never retrieved" in line or " ERROR " in line


def count(http: httpx.Client, name: str) -> float:
    """The sum of the series of a counter that are of websockets."""
    page = http.get("/-/metrics").text
    return sum(map(float, re.findall(rf'ray_serve_{name}_total{{.*method="WEBSOCKET".*}} (\S+)', page)))
