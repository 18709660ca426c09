"""Ends of websockets: whatever the handler does, and however its client goes, nothing of it stays."""

import asyncio
import os
import re
import signal
import socket
import struct
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import fastapi
import httpx
import pytest
from websockets.sync.client import ClientConnection, connect

import ray_async as ray
from ray_async import serve
from tests.serve.log_lines import log_lines
from tests.serve.waiting import ongoing, wait_until

SILENT = """
import sys, threading
from websockets.sync.client import connect
with connect(sys.argv[1], open_timeout=60, ping_interval=None, additional_headers={"x-request-id": sys.argv[2]}) as client:
    client.send("a")
    print(client.recv(60), flush=True)
    threading.Event().wait()
"""


@pytest.fixture(scope="module")
def session() -> Iterator[None]:
    ray.init(num_cpus=4, log_to_driver=False, preload=["ray_async.serve"])
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


def begin(address: str, name: str) -> ClientConnection:
    client = connect(address, open_timeout=60, close_timeout=60, additional_headers={"x-request-id": name})
    client.send("a")
    assert client.recv(60) == "a"
    return client


def end_well(address: str, name: str) -> None:
    begin(address, name).close(1000)


def end_by_reset(address: str, name: str) -> None:
    """Have the system reset the connection, as that of a process that is killed with unread data."""
    client = begin(address, name)
    client.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    descriptor = client.socket.detach()
    socket.socket(fileno=descriptor).close()


def end_in_silence(address: str, name: str) -> None:
    """Stop the process of a client: it answers nothing any more, and its connection stays."""
    with subprocess.Popen([sys.executable, "-c", SILENT, address, name], stdout=subprocess.PIPE) as client:
        try:
            assert client.stdout is not None and client.stdout.readline() == b"a\n"
            os.kill(client.pid, signal.SIGSTOP)
            wait_until(lambda: log_lines(f" {name} "))
        finally:
            client.kill()


ENDS = {"well": end_well, "reset": end_by_reset, "silence": end_in_silence}
EXPECTED = {  # what each handler is told of each end; of a client that is silent it is told what the server has closed by
    ("receives", "well"): 1000,
    ("receives", "reset"): 1005,
    ("receives", "silence"): 1005,
    "sends": "WebSocketDisconnect",
    "waits": "CancelledError",
}


@pytest.mark.parametrize("end", ENDS)
@pytest.mark.parametrize("kind", ["receives", "sends", "waits"])
def test_ends(http: httpx.Client, gate: Any, kind: str, end: str) -> None:
    handle = serve.run(api(gate), route_prefix="/ws")
    name = f"{kind}-{end}"
    wait_until(lambda: replicas_answer(http))
    before = handle.heard.remote().result()[1]
    ENDS[end](f"ws://{http.base_url.host}:{http.base_url.port}/ws/{kind}", name)
    wait_until(lambda: handle.heard.remote().result()[0])
    expected: Any = EXPECTED[(kind, end) if kind == "receives" else kind]  # type: ignore[index]
    if kind == "receives":
        assert ongoing() == 1  # it is not cancelled
        ray.get(gate.open.remote())
    wait_until(lambda: ongoing() == 0)
    assert handle.heard.remote().result()[0] == [expected]
    wait_until(lambda: handle.heard.remote().result()[1] <= before)
    wait_until(lambda: log_lines(f" {name} "))
    (line,) = log_lines(f" {name} ")
    assert re.search(rf" {name} -- WEBSOCKET /ws/{{kind}} (1000|1005) ", line), line
    assert [line for line in log_lines() if "Traceback" in line or "never retrieved" in line] == []
    page = http.get("/-/metrics").text
    counted = re.findall(r'ray_serve_num_http_requests_total\{.*method="WEBSOCKET".*\} (\d+)', page)
    assert sum(map(float, counted)) == 1
    assert not re.search(r'num_http_error_requests_total\{.*method="WEBSOCKET"', page)


def replicas_answer(http: httpx.Client) -> bool:
    """Tell whether a replica has the connections; just after a first deploy, the controller may have some still."""
    return httpx.get(f"{http.base_url}ws/", timeout=60).status_code == 404
