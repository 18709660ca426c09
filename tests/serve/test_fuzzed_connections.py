"""Connections on which nonsense comes: each is answered or ended, nobody else notices, and nothing is left."""

import asyncio
import contextlib
import os
import random
import re
from collections.abc import Iterator
from typing import Any

import fastapi
import httpx
import pytest
from starlette.requests import Request

import ray_async as ray
from ray_async import serve
from tests.serve.fuzzed import STATUSES, frames, mutated
from tests.serve.preloaded import PRELOADED
from tests.serve.sizes import size
from tests.serve.waiting import ongoing, wait_until

SEED = 20261129
AT_A_TIME = 24  # connections


@pytest.fixture(scope="module")
def session() -> Iterator[None]:
    ray.init(num_cpus=4, log_to_driver=False, preload=PRELOADED)
    serve.start(serve.HTTPOptions(port=0, head_timeout_s=1, stall_timeout_s=1, keep_alive_timeout_s=2))
    yield
    serve.shutdown()
    ray.shutdown()


class Held:
    """What a replica holds."""

    async def held(self) -> tuple[int, int]:
        """Asyncio tasks and descriptors."""
        return len(asyncio.all_tasks()), len(os.listdir("/proc/self/fd"))

    async def pid(self) -> int:
        return os.getpid()


@serve.deployment(max_ongoing_requests=2 * AT_A_TIME)
class Plain(Held):
    async def __call__(self, request: Request) -> Any:
        if request.query_params.get("stream"):
            return self.parts(request)
        return await request.body()

    async def parts(self, request: Request) -> Any:
        async for part in request.stream():
            yield part


def api() -> Any:
    app = fastapi.FastAPI()

    @serve.deployment(max_ongoing_requests=2 * AT_A_TIME)
    @serve.ingress(app)
    class Api(Held):
        @app.get("/")
        def root(self) -> str:
            return "root"

        @app.post("/")
        async def post(self, body: dict[str, Any]) -> int:
            return len(body)

        @app.get("/items/{number}")
        async def item(self, number: int) -> int:
            return number

        @app.websocket("/talk")
        async def talk(self, socket: fastapi.WebSocket) -> None:
            await socket.accept()
            try:
                while True:
                    message = await socket.receive()
                    if message["type"] == "websocket.disconnect":
                        return
                    await socket.send_text("heard")
            except fastapi.WebSocketDisconnect:
                return

    return Api.bind()


async def talk(address: tuple[str, int], data: bytes, source: random.Random) -> bytes:
    """Send the data in pieces, in one of the ways that clients end, and read to the end of the connection."""
    reader, writer = await asyncio.open_connection(*address)
    found = b""
    try:
        while data:
            piece = source.choice((1, 7, 100, 5000, len(data)))
            writer.write(data[:piece])
            data = data[piece:]
            await writer.drain()
        end = source.randrange(3)
        if end == 0:
            writer.transport.abort()
            return b""
        if end == 1 or b"101 Switching" in (found := await reader.read(1)):
            writer.write_eof()
        while part := await reader.read(1 << 16):
            found += part
            if b" 101 Switching" in found and not writer.is_closing():
                writer.write_eof()  # else the websocket stays open, as it should
    except OSError:  # the server has ended it while the client sent
        pass
    finally:
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()
    return found


def statuses(answer: bytes) -> list[int]:
    """The statuses of the answers on a connection, whose bodies have no line like a status line."""
    upgraded = answer.find(b"HTTP/1.1 101 ")
    shown = answer if upgraded < 0 else answer[: upgraded + 20]
    return [int(code) for code in re.findall(rb"HTTP/1\.1 (\d{3}) ", shown)]


async def talk_all(address: tuple[str, int], kind: Any, count: int) -> list[bytes]:
    source = random.Random(SEED)
    limit = asyncio.Semaphore(AT_A_TIME)

    async def one(data: bytes, seed: int) -> bytes:
        async with limit, asyncio.timeout(60):
            return await talk(address, data, random.Random(seed))

    return await asyncio.gather(*(one(kind(source), number) for number in range(count)))


@pytest.mark.parametrize(("kind", "count"), [(mutated, size(300, 5000)), (frames, size(200, 5000))])
def test_nonsense(http: httpx.Client, kind: Any, count: int) -> None:
    print("seed", SEED)
    handles = [
        serve.run(Plain.bind(), name="plain", route_prefix="/plain"),
        serve.run(api(), name="api", route_prefix="/api"),
    ]
    host, port = serve.status().http_address.split(":")
    pids = [handle.pid.remote().result() for handle in handles]
    asyncio.run(talk_all((host, int(port)), kind, 50))  # what is made once is there then
    before = at_rest(handles)
    answers = asyncio.run(talk_all((host, int(port)), kind, count))
    found = [statuses(answer) for answer in answers]
    assert {status for one in found for status in one} <= STATUSES
    assert sum(1 for one in found if one) > count // 4
    assert all(answer.startswith(b"HTTP/1.") for answer in answers if answer)
    for path, status in (("/plain", 200), ("/api/items/7", 200), ("/nowhere", 404)):
        assert http.get(path).status_code == status
    # One more at most: the connection that this test's client keeps.
    wait_until(lambda: all(now <= then + 1 for then, now in zip(before, at_rest(handles), strict=True)))
    assert [handle.pid.remote().result() for handle in handles] == pids


def at_rest(handles: list[Any]) -> list[int]:
    """What the replicas hold once none of them has a request."""
    wait_until(lambda: ongoing() == 0)
    return [number for handle in handles for number in handle.held.remote().result()]
