"""Background tasks of FastAPI below a middleware: they run to their end, whatever the client does after its answer."""

import asyncio
import socket
import threading
from pathlib import Path
from typing import Any

import fastapi
import httpx
import pytest
from starlette.middleware.base import BaseHTTPMiddleware

from ray_async import serve
from tests.serve.log_lines import log_lines
from tests.serve.sizes import size
from tests.serve.test_connections import read_all, read_until
from tests.serve.waiting import ongoing, wait_until

WAYS = {
    "keep-alive": b"GET /api/later HTTP/1.1\r\nhost: x\r\nx-request-id: %b\r\n\r\n",
    "close": b"GET /api/later HTTP/1.1\r\nhost: x\r\nconnection: close\r\nx-request-id: %b\r\n\r\n",
    "old": b"GET /api/later HTTP/1.0\r\nx-request-id: %b\r\n\r\n",
}


class Plain:
    """A middleware without Starlette's base."""

    def __init__(self, app: Any) -> None:
        self.app = app

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        seen: list[str] = scope["app"].state.seen if "app" in scope else []
        try:
            await self.app(scope, receive, send)
        except BaseException as error:
            seen.append(type(error).__name__)
            raise


class Based(BaseHTTPMiddleware):
    """A middleware with it."""

    async def dispatch(self, request: fastapi.Request, call_next: Any) -> Any:
        try:
            return await call_next(request)
        except BaseException as error:
            request.app.state.seen.append(type(error).__name__)
            raise


def api(middleware: Any, folder: Path) -> Any:
    def build() -> fastapi.FastAPI:
        app = fastapi.FastAPI()
        app.state.seen = []
        app.add_middleware(middleware)

        async def work() -> None:
            await asyncio.sleep(0.001)  # a cancel would come in here
            app.state.done = getattr(app.state, "done", 0) + 1

        async def wait() -> None:
            (folder / "waits").touch()
            while not (folder / "free").exists():
                await asyncio.sleep(0.01)
            (folder / "finished").touch()

        @app.get("/later")
        async def later(tasks: fastapi.BackgroundTasks) -> str:
            tasks.add_task(work)
            return "now"

        @app.get("/held")
        async def held(tasks: fastapi.BackgroundTasks) -> str:
            tasks.add_task(wait)
            return "now"

        @app.get("/never")
        async def never() -> None:
            (folder / "never").touch()
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                (folder / "cancelled").touch()
                raise

        @app.get("/state")
        async def state() -> dict[str, Any]:
            return {"done": getattr(app.state, "done", 0), "seen": app.state.seen}

        return app

    @serve.deployment(max_ongoing_requests=100)
    @serve.ingress(build)
    class Api: ...

    return Api.bind()


def ask(request: bytes) -> None:
    """Send a request, read the whole answer, and close at once."""
    host, port = serve.status().http_address.split(":")
    with socket.create_connection((host, int(port)), timeout=60) as connection:
        connection.sendall(request)
        if b"HTTP/1.1" in request and b"close" not in request:
            read_until(connection, b'"now"')
        else:
            assert read_all(connection).endswith(b'"now"')


@pytest.mark.parametrize("middleware", [Plain, Based])
@pytest.mark.parametrize("way", WAYS)
def test_they_run_to_their_end(http: httpx.Client, tmp_path: Path, middleware: Any, way: str) -> None:
    serve.run(api(middleware, tmp_path), route_prefix="/api")
    tries = size(34, 200)
    ids = [f"{way}-{middleware.__name__}-{number}" for number in range(tries)]
    for name in ids:
        ask(WAYS[way] % name.encode())
    wait_until(lambda: http.get("/api/state").json()["done"] == tries)
    prefix = f"{way}-{middleware.__name__}-"
    wait_until(lambda: len(log_lines(prefix)) >= tries)
    assert [line for line in log_lines(prefix) if " GET /api/later 200 " not in line] == []
    assert http.get("/api/state").json()["seen"] == []


@pytest.mark.parametrize("middleware", [Plain, Based])
def test_a_drain_waits_for_them(http: httpx.Client, tmp_path: Path, middleware: Any) -> None:
    serve.run(api(middleware, tmp_path), route_prefix="/api")
    ask(b"GET /api/held HTTP/1.1\r\nhost: x\r\n\r\n")
    wait_until((tmp_path / "waits").exists)
    ending = threading.Thread(target=serve.delete, args=("default",))
    ending.start()
    wait_until(lambda: serve.status().applications["default"].status == "DELETING")
    assert ending.is_alive()
    (tmp_path / "free").touch()
    ending.join()
    assert (tmp_path / "finished").exists()


@pytest.mark.parametrize("middleware", [Plain, Based])
def test_who_leaves_before_cancels_the_handler(http: httpx.Client, tmp_path: Path, middleware: Any) -> None:
    serve.run(api(middleware, tmp_path), route_prefix="/api")
    host, port = serve.status().http_address.split(":")
    with socket.create_connection((host, int(port)), timeout=60) as connection:
        connection.sendall(b"GET /api/never HTTP/1.1\r\nhost: x\r\n\r\n")
        wait_until((tmp_path / "never").exists)
    wait_until((tmp_path / "cancelled").exists)
    wait_until(lambda: ongoing() == 0)
    assert http.get("/api/state").json()["seen"] == ["CancelledError"]
