"""Ends of what would never end by itself: streams and websockets, where their application or their program ends."""

import asyncio
import contextlib
import os
import signal
import subprocess
import threading
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import fastapi
import httpx
import pytest
from fastapi.responses import StreamingResponse
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

import ray_async as ray
from ray_async import serve
from tests.serve.controller import replica_pids
from tests.serve.test_command import HELD, command, environment
from tests.serve.waiting import wait_until

TIMEOUT = 3.0  # seconds that a replica has for its end


def api(folder: Path) -> Any:
    def note(text: str) -> None:
        with (folder / "notes").open("a") as file:
            file.write(f"{text}\n")

    @contextlib.asynccontextmanager
    async def lifespan(app: fastapi.FastAPI) -> AsyncIterator[None]:
        yield
        note("lifespan")

    app = fastapi.FastAPI(lifespan=lifespan)

    @serve.deployment(graceful_shutdown_timeout_s=TIMEOUT)
    @serve.ingress(app)
    class Endless:
        @app.get("/endless")
        async def endless(self) -> StreamingResponse:
            async def ticks() -> AsyncIterator[str]:
                try:
                    while True:
                        yield "data: tick\n\n"
                        await asyncio.sleep(0.02)
                finally:
                    note("endless")

            return StreamingResponse(ticks(), media_type="text/event-stream")

        @app.get("/short")
        async def short(self) -> StreamingResponse:
            async def chunks() -> AsyncIterator[str]:
                for number in range(3):
                    yield f"chunk {number};"
                    while not (folder / f"free-{number}").exists():
                        await asyncio.sleep(0.01)

            return StreamingResponse(chunks())

        @app.websocket("/talk")
        async def talk(self, websocket: fastapi.WebSocket) -> None:
            await websocket.accept()
            try:
                while True:
                    await websocket.send_text(await websocket.receive_text())
            except fastapi.WebSocketDisconnect as error:
                await websocket.send_text(f"good-bye after {error.code}")
                note("talk")

        async def stream(self) -> AsyncIterator[str]:
            try:
                while True:
                    yield "item"
                    await asyncio.sleep(0.02)
            finally:
                note("stream")

    return Endless.bind()


@contextlib.contextmanager
def open_stream(http: httpx.Client, path: str) -> Iterator[Any]:
    with httpx.Client(base_url=http.base_url, timeout=60) as client, client.stream("GET", path) as answer:
        parts = answer.iter_text()
        yield parts


@pytest.mark.parametrize("way", ["delete", "SIGTERM"])
def test_of_an_application(http: httpx.Client, tmp_path: Path, way: str) -> None:
    handle = serve.run(api(tmp_path))
    (pid,) = replica_pids().values()
    address = f"ws://{http.base_url.host}:{http.base_url.port}/talk"
    by_handle = handle.options(stream=True).stream.remote()
    assert next(by_handle) == "item"
    with (
        open_stream(http, "/endless") as endless,
        open_stream(http, "/short") as short,
        connect(address, open_timeout=60, close_timeout=60) as websocket,
    ):
        assert next(endless).startswith("data: tick")
        received = [next(short)]
        websocket.send("hello")
        assert websocket.recv(60) == "hello"
        begun = time.monotonic()
        end: Any = (serve.delete, ("default",)) if way == "delete" else (os.kill, (pid, signal.SIGTERM))
        ending = threading.Thread(target=end[0], args=end[1])
        ending.start()
        assert websocket.recv(60) == "good-bye after 1012"
        with pytest.raises(ConnectionClosed) as closed:
            websocket.recv(60)
        assert closed.value.rcvd is not None and closed.value.rcvd.code == 1012
        for number in range(3):
            (tmp_path / f"free-{number}").touch()
            received += [next(short)] if number < 2 else list(short)
        assert received == ["chunk 0;", "chunk 1;", "chunk 2;"]
        with pytest.raises(httpx.RemoteProtocolError):
            list(endless)
        with pytest.raises((ray.exceptions.RayError, serve.exceptions.RayServeException)):
            list(by_handle)
    wait_until(lambda: not Path(f"/proc/{pid}").exists())
    assert time.monotonic() - begun < 30  # of its timeout and five seconds, on a machine that has other things to do
    notes = (tmp_path / "notes").read_text().split()
    assert sorted(notes) == ["endless", "lifespan", "stream", "talk"]
    assert notes[-1] == "lifespan"
    ending.join()


def test_a_second_interrupt(tmp_path: Path) -> None:
    (tmp_path / "held.py").write_text(HELD)
    words = command("serve", "run", "held:app", "--port", "0")
    with subprocess.Popen(
        words, cwd=tmp_path, env=environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        watch = threading.Timer(100, process.kill)
        watch.start()
        assert process.stdout is not None and process.stderr is not None
        line = next(one for one in process.stdout if one.startswith("Serving "))
        asking = threading.Thread(target=ask, args=(line.split()[1],))
        asking.start()
        wait_until((tmp_path / "entered").exists)
        process.send_signal(signal.SIGINT)
        assert next(process.stdout) == "Finishing requests; Ctrl-C again ends at once.\n"
        assert process.poll() is None
        process.send_signal(signal.SIGINT)
        assert process.wait() == 130
        assert process.stderr.read() == ""
        asking.join()
        watch.cancel()


def ask(url: str) -> None:
    """A request that is never answered."""
    with contextlib.suppress(httpx.TransportError):
        httpx.get(url, timeout=100)


def test_of_a_program(tmp_path: Path) -> None:
    """The node's program itself: it is told by SIGTERM, and is gone though a stream would never end."""
    (tmp_path / "endless.py").write_text(ENDLESS)
    process = subprocess.Popen(
        command("serve", "run", "endless:app", "--port", "0"),
        cwd=tmp_path,
        env=environment(),
        stdout=subprocess.PIPE,
        text=True,
    )
    with process:
        watch = threading.Timer(100, process.kill)
        watch.start()
        assert process.stdout is not None
        url = next(one for one in process.stdout if one.startswith("Serving ")).split()[1]
        with httpx.Client(base_url=url, timeout=60) as client, client.stream("GET", "/") as answer:
            parts = answer.iter_text()
            assert next(parts).startswith("tick")
            process.send_signal(signal.SIGTERM)
            with pytest.raises(httpx.RemoteProtocolError):
                list(parts)
        assert process.wait() == 0
        watch.cancel()
    assert (tmp_path / "closed").exists()


ENDLESS = """
import asyncio, pathlib
from ray_async import serve

@serve.deployment(graceful_shutdown_timeout_s=1)
class Endless:
    async def __call__(self, request):
        try:
            while True:
                yield "tick"
                await asyncio.sleep(0.02)
        finally:
            pathlib.Path("closed").touch()

app = Endless.bind()
"""
