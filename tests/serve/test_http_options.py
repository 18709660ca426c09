"""HTTP options: limits of time and size, and the root path; a session whose server has them."""

import asyncio
import threading
import time
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import fastapi
import httpx
import pytest
from starlette.requests import Request

import ray_async as ray
from ray_async import serve
from tests.serve.log_lines import log_lines
from tests.serve.preloaded import PRELOADED
from tests.serve.waiting import ongoing, wait_until

SOON = {"x-request-timeout-seconds": "0.3"}


@pytest.fixture(scope="module")
def session() -> Iterator[None]:
    ray.init(num_cpus=4, log_to_driver=False, preload=PRELOADED)
    serve.start(serve.HTTPOptions(port=0, root_path="/base", max_body_bytes=1000, request_timeout_s=100))
    yield
    serve.shutdown()
    ray.shutdown()


@serve.deployment
class Sizes:
    async def __call__(self, request: Request) -> list[Any]:
        return [len(await request.body()), request.url.path, request.scope["root_path"]]


def pieces(count: int) -> Iterator[bytes]:
    for _ in range(count):
        yield b"x" * 100


def test_the_root_path_may_be_cut_off_or_not(http: httpx.Client) -> None:
    serve.run(Sizes.bind(), route_prefix="/app")
    for path in ("/base/app/x", "/app/x"):
        assert http.post(path, content=b"abc").json() == [3, "/base/app/x", "/base/app"]
        assert http.post(path).json()[0] == 0
    assert http.get("/base/-/routes").json() == http.get("/-/routes").json() == {"/app": "default"}
    assert http.get("/base/other").status_code == 404


def test_fastapi_below_the_root_path(http: httpx.Client) -> None:
    app = fastapi.FastAPI()

    @serve.deployment
    @serve.ingress(app)
    class Api:
        @app.get("/where")
        def where(self, request: fastapi.Request) -> str:
            return request.url_for("where").path

    serve.run(Api.bind(), route_prefix="/api")
    assert http.get("/base/api/where").json() == http.get("/api/where").json() == "/base/api/where"


def test_bodies_that_are_too_large(http: httpx.Client) -> None:
    serve.run(Sizes.options(num_replicas=2).bind(), route_prefix="/app")
    for _ in range(3):
        assert http.post("/app", content=b"x" * 1000).json()[0] == 1000
        answer = http.post("/app", content=b"x" * 1001)
        assert (answer.status_code, "1000 bytes" in answer.text) == (413, True)
        assert http.post("/app", content=pieces(10)).json()[0] == 1000
        assert http.post("/app", content=pieces(11)).status_code == 413


def test_a_body_that_is_too_large_for_a_replica_elsewhere(http: httpx.Client) -> None:
    for name in ("zero", "one"):  # when the second is there, the controller accepts no connections any more
        serve.run(Sizes.bind(), name=name, route_prefix=f"/{name}")
    assert http.post("/one").json()[0] == 0  # the connection is a replica's of these
    serve.run(Sizes.bind(), name="two", route_prefix="/two")
    assert http.post("/two", content=pieces(10)).json()[0] == 1000
    assert http.post("/two", content=pieces(11)).status_code == 413


def test_a_body_that_is_too_large_for_fastapi(http: httpx.Client) -> None:
    app = fastapi.FastAPI()

    @serve.deployment
    @serve.ingress(app)
    class Api:
        @app.post("/")
        def post(self, body: dict[str, str]) -> int:
            return len(body["a"])

    serve.run(Api.bind(), route_prefix="/api")
    assert http.post("/api/", json={"a": "b"}).json() == 1
    long = b'{"a": "' + b"b" * 2000 + b'"}'
    assert http.post("/api/", content=long).status_code == 413
    headers = {"content-type": "application/json"}
    assert http.post("/api/", content=iter([long]), headers=headers).status_code == 413


@serve.deployment
class Waits:
    def __init__(self, gate: Any) -> None:
        self.gate = gate

    async def __call__(self, request: Request) -> Any:
        if "raise" in request.query_params:
            raise TimeoutError("of the handler's own")
        if "stream" in request.query_params:
            return self.chunks()
        await self.gate.wait.remote()
        return "done"

    async def chunks(self) -> AsyncIterator[str]:
        for chunk in "abc":
            yield chunk
        await self.gate.wait.remote()


def counts(gate: Any) -> Any:
    return ray.get(gate.counts.remote())


def test_a_request_that_takes_too_long(http: httpx.Client, gate: Any) -> None:
    serve.run(Waits.options(max_ongoing_requests=1).bind(gate), route_prefix="/app")
    answer = http.get("/app", headers=SOON)
    assert (answer.status_code, answer.text) == (408, "The request took too long.")
    assert answer.headers["x-request-id"]
    wait_until(lambda: counts(gate)[0] == counts(gate)[1])
    ray.get(gate.open.remote())
    assert http.get("/app").text == "done"


def test_a_request_that_waits_for_too_long_elsewhere(http: httpx.Client, gate: Any) -> None:
    handle = serve.run(Waits.options(max_ongoing_requests=1).bind(gate), route_prefix="/app")
    held = handle.options(stream=True).chunks.remote()
    assert next(held) == "a"
    assert http.get("/app", headers=SOON).status_code == 408
    ray.get(gate.open.remote())
    assert list(held) == ["b", "c"]
    assert http.get("/app").text == "done"


def test_a_stream_that_takes_too_long_has_no_end(http: httpx.Client, gate: Any) -> None:
    serve.run(Waits.bind(gate), route_prefix="/app")
    received: list[str] = []
    with (
        pytest.raises(httpx.RemoteProtocolError, match="incomplete"),
        http.stream("GET", "/app?stream=1", headers={"x-request-timeout-seconds": "3"}) as answer,
    ):
        assert answer.status_code == 200
        for text in answer.iter_text():
            received.append(text)
    assert "".join(received) == "abc"
    wait_until(lambda: counts(gate) == (1, 1))


def test_timeouts_of_other_kinds(http: httpx.Client, gate: Any) -> None:
    serve.run(Waits.bind(gate), route_prefix="/app")
    assert http.get("/app?raise=1").status_code == 500
    for bad in ("0", "-1", "soon", "inf", "nan"):
        assert http.get("/app", headers={"x-request-timeout-seconds": bad}).status_code == 400


def test_a_thread_keeps_its_slot_after_its_request(http: httpx.Client, tmp_path: Path) -> None:
    entered, gate = tmp_path / "entered", tmp_path / "gate"

    @serve.deployment(max_ongoing_requests=1)
    class Held:
        inside = most = 0

        def __call__(self, request: Request) -> int:
            self.inside += 1
            self.most = max(self.most, self.inside)
            with entered.open("a") as file:
                file.write("x")
            while not gate.exists():
                time.sleep(0.01)
            self.inside -= 1
            return self.most

    serve.run(Held.bind(), route_prefix="/app")
    assert http.get("/app", headers=SOON).status_code == 408
    assert entered.read_text() == "x"
    answers = []
    thread = threading.Thread(target=lambda: answers.append(http.get("/app").json()))
    thread.start()
    gate.touch()
    thread.join()
    assert answers == [1]
    assert entered.read_text() == "xx"


@pytest.mark.parametrize("holder", ["replica", "front"])
def test_what_a_thread_raises_after_its_request_is_logged_once(
    http: httpx.Client, front: httpx.Client, holder: str, tmp_path: Path
) -> None:
    http = http if holder == "replica" else front
    gate, entered = tmp_path / "gate", tmp_path / "entered"

    @serve.deployment(max_ongoing_requests=1)
    class Held:
        def __call__(self, request: Request) -> None:
            (tmp_path / "written").write_text(request.headers.get("x-request-id", ""))
            (tmp_path / "written").rename(entered)
            while not gate.exists():
                time.sleep(0.01)
            raise ValueError("much too late")

    def is_held() -> bool:
        """Ask once more, as long as no request has come to the handler in its time."""
        name = f"late-{time.monotonic_ns()}"
        assert http.get("/app", headers={**SOON, "x-request-id": name}).status_code == 408
        return entered.exists()

    serve.run(Held.bind(), route_prefix="/app")
    wait_until(is_held)
    name = entered.read_text()
    wait_until(lambda: log_lines(f"Request {name} is over, but its handler goes on, and holds a slot."))
    gate.touch()
    wait_until(lambda: log_lines(f"Request {name} failed after its end."))
    wait_until(lambda: ongoing() == 0)
    assert http.get("/app").status_code == 500
    assert len(log_lines(f"Request {name} failed after its end.")) == 1


@pytest.mark.parametrize("kind", ["sync", "async"])
def test_streams_hold_their_slot_to_their_end(http: httpx.Client, kind: str) -> None:
    @serve.deployment(max_ongoing_requests=1)
    class Streams:
        def __init__(self) -> None:
            self.inside: list[str] = []

        def note(self, name: str) -> str:
            self.inside.append(name)
            return f"{name};"

        def sync(self, name: str) -> Iterator[str]:
            for _ in range(20):
                yield self.note(name)

        async def chunks(self, name: str) -> AsyncIterator[str]:
            for _ in range(20):
                yield self.note(name)
                await asyncio.sleep(0)

        async def __call__(self, request: Request) -> Any:
            if request.query_params["name"] == "seen":
                return self.inside
            return (self.sync if kind == "sync" else self.chunks)(request.query_params["name"])

    serve.run(Streams.bind(), route_prefix="/app")
    with ThreadPoolExecutor(4) as pool:
        texts = list(pool.map(lambda name: httpx.get(f"{http.base_url}/app?name={name}", timeout=60).text, "abcd"))
    assert texts == [f"{name};" * 20 for name in "abcd"]
    seen = http.get("/app?name=seen").json()
    assert sorted("".join(seen[at : at + 20]) for at in range(0, 80, 20)) == [name * 20 for name in "abcd"]


def test_options_are_checked() -> None:
    for bad in (
        {"root_path": "base"},
        {"root_path": "/base/"},
        {"max_body_bytes": 0},
        {"request_timeout_s": -1},
        {"port": 70000},
    ):
        options: Any = bad
        with pytest.raises(ValueError, match=next(iter(bad))):
            serve.HTTPOptions(**options)


async def test_a_client_that_goes_while_its_time_runs(http: httpx.Client, gate: Any) -> None:
    await asyncio.to_thread(serve.run, Waits.bind(gate), route_prefix="/app")
    async with httpx.AsyncClient(base_url=http.base_url, timeout=60) as client:
        ask = asyncio.create_task(client.get("/app"))
        await asyncio.to_thread(wait_until, lambda: counts(gate) == (1, 0))
        ask.cancel()
        await asyncio.to_thread(wait_until, lambda: counts(gate) == (1, 1))
