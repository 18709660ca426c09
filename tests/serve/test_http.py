"""Requests over HTTP."""

import asyncio
import contextlib
import logging
import os
import socket
import sys
import threading
import time
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import fastapi
import httpx
import pydantic
import pytest
from starlette.requests import Request

import ray_async as ray
from ray_async import serve
from ray_async.serve import api
from ray_async.serve.application import build
from ray_async.serve.handle.client import get_client
from ray_async.serve.ingress.listener import bind
from tests.serve.controller import replica_pids
from tests.serve.gate import Gated
from tests.serve.waiting import wait_until


class Model(pydantic.BaseModel):
    name: str


@serve.deployment
class Echo:
    async def __call__(self, request: Request) -> Any:
        return [request.method, request.url.path, request.scope["root_path"], await request.json()]


def test_routes(http: httpx.Client) -> None:
    serve.run(Echo.bind(), name="one", route_prefix="/one")
    serve.run(Echo.bind(), name="deep", route_prefix="/one/deep")
    assert http.get("/-/routes").json() == {"/one": "one", "/one/deep": "deep"}
    assert http.get("/-/healthz").text == "success"
    missing = http.get("/onemore")
    assert (missing.status_code, "/-/routes" in missing.text) == (404, True)
    for _ in range(5):  # whichever application's replica has taken the connection
        with httpx.Client(base_url=http.base_url) as client:
            assert client.post("/one/x", json=1).json() == ["POST", "/one/x", "/one", 1]
            assert client.put("/one/deep/x", json={"a": 2}).json() == ["PUT", "/one/deep/x", "/one/deep", {"a": 2}]


def test_handlers_without_a_parameter(http: httpx.Client) -> None:
    class Plain:
        def __call__(self) -> str:
            return "a method"

    class Stream:
        async def __call__(self) -> AsyncIterator[str]:
            yield "a "
            yield "stream"

    def function() -> str:
        return "a function"

    for number, target in enumerate((Plain, Stream, function)):
        serve.run(serve.deployment(target).bind(), name=f"app{number}", route_prefix=f"/{number}")
    assert [http.get(f"/{number}").text for number in range(3)] == ["a method", "a stream", "a function"]


def test_prefixes(http: httpx.Client) -> None:
    for prefix in ("abc", "/abc/"):
        with pytest.raises(ValueError, match="route_prefix"):
            serve.run(Echo.bind(), route_prefix=prefix)
    serve.run(Echo.bind(), name="first", route_prefix="/taken")
    with pytest.raises(serve.exceptions.RayServeException, match="Prefix /taken is being used by application 'first'"):
        serve.run(Echo.bind(), name="second", route_prefix="/taken")
    handle = serve.run(Gated.options(num_replicas=1).bind(None), name="hidden", route_prefix=None)
    assert handle.app_name == "hidden"
    assert http.get("/-/routes").json() == {"/taken": "first"}


def test_a_prefix_that_comes_later(http: httpx.Client) -> None:
    class Hello:
        def __call__(self) -> str:
            return "hello"

    hello = serve.deployment(Hello).options(num_replicas=2)
    handle = serve.run(hello.bind(), route_prefix=None)
    before = replica_pids()
    assert http.get("/").status_code == 404
    for _ in range(2):
        serve.run(hello.bind(), route_prefix="/later")
        assert [http.get("/later").text for _ in range(10)] == ["hello"] * 10
        assert http.get("/-/healthz").text == "success"
        serve.run(hello.bind(), route_prefix=None)
        wait_until(lambda: http.get("/later").status_code == 404)
    assert handle.remote().result() == "hello"
    assert replica_pids() == before


def test_malformed_bodies_are_the_clients_fault(http: httpx.Client) -> None:
    serve.run(Echo.bind())
    for body in (b"", b"{"):
        assert http.post("/", content=body).status_code == 400
    assert http.post("/", json=2).status_code == 200


def test_without_a_replica(http: httpx.Client, tmp_path: Path) -> None:
    assert http.get("/-/routes").json() == {}
    health = http.get("/-/healthz")
    assert (health.status_code, health.text) == (503, "Route table is not populated yet.")
    assert http.get("/x").status_code == 404
    gate = tmp_path / "gate"

    @serve.deployment
    class Slow:
        def __init__(self) -> None:
            while not gate.exists():
                time.sleep(0.01)

        async def __call__(self, request: Request) -> bytes:
            return await request.body()

    deploy = threading.Thread(target=serve.run, args=(Slow.bind(),), kwargs={"route_prefix": "/slow"})
    deploy.start()
    wait_until(lambda: http.get("/-/routes").json() == {"/slow": "default"})
    answers = []
    ask = threading.Thread(target=lambda: answers.append(httpx.post(f"{http.base_url}/slow", content=b"early").text))
    ask.start()
    assert http.get("/x").status_code == 404
    gate.touch()
    deploy.join()
    assert http.post("/slow", content=b"late").text == "late"
    ask.join()
    assert answers == ["early"]
    serve.delete("default")
    assert http.post("/slow").status_code == 404


def test_request_ids(http: httpx.Client) -> None:
    serve.run(Echo.bind())
    assert http.post("/", json=1, headers={"x-request-id": "mine"}).headers["x-request-id"] == "mine"
    ids = {http.post("/", json=1).headers["x-request-id"] for _ in range(5)}
    assert len(ids) == 5


@serve.deployment
class Streams:
    def __call__(self, request: Request) -> Iterator[str]:
        yield from ("a", "b")
        if request.query_params.get("fail"):
            raise ValueError("in the middle")

    def other(self) -> None: ...


def test_generators_are_streamed(http: httpx.Client) -> None:
    serve.run(Streams.bind())
    with http.stream("GET", "/") as answer:
        assert answer.headers["transfer-encoding"] == "chunked"
        assert "".join(answer.iter_text()) == "ab"
    with pytest.raises(httpx.RemoteProtocolError), http.stream("GET", "/?fail=1") as answer:
        assert answer.status_code == 200
        list(answer.iter_text())
    assert http.get("/").text == "ab"


async def test_a_full_replica_hands_requests_over(http: httpx.Client, gate: Any) -> None:
    # All connections are made while there is one replica, so they belong to it; requests must spread nevertheless.
    app = Gated.options(max_ongoing_requests=4)
    await asyncio.to_thread(serve.run, app.options(num_replicas=1).bind(gate))
    limits = httpx.Limits(max_connections=16, max_keepalive_connections=16)
    async with httpx.AsyncClient(base_url=http.base_url, limits=limits, timeout=60) as client:
        asks = [asyncio.create_task(client.get("/")) for _ in range(16)]
        await asyncio.to_thread(wait_until, lambda: ray.get(gate.counts.remote())[0] == 4)
        await asyncio.to_thread(serve.run, app.options(num_replicas=4).bind(gate))
        await asyncio.to_thread(wait_until, lambda: ray.get(gate.counts.remote())[0] == 16)
        assert await asyncio.to_thread(held_by_each, "Gated") == [4] * 4
        await gate.open.remote()
        assert [answer.status_code for answer in await asyncio.gather(*asks)] == [200] * 16


def held_by_each(deployment: str) -> list[int]:
    """How many requests each replica works on."""
    client = get_client()
    entry = client.table()["deployments"][f"default#{deployment}"]
    return [client.board.ongoing(slot) for _, _, slot in entry["replicas"]]


@serve.deployment(max_ongoing_requests=1)
class Counting:
    def __init__(self, gate: Any) -> None:
        self.gate = gate
        self.inside = 0

    async def __call__(self, request: Any = None) -> int:
        return await self.counted(asyncio.sleep(0.002))

    async def hold(self) -> int:
        return await self.counted(self.gate.wait.remote())

    async def counted(self, work: Any) -> int:
        self.inside += 1
        assert self.inside == 1
        await work
        self.inside -= 1
        return os.getpid()


async def test_what_is_full_by_handle_calls_leaves_requests_to_the_free_replica(http: httpx.Client, gate: Any) -> None:
    handle = await asyncio.to_thread(serve.run, Counting.options(num_replicas=1).bind(gate))
    limits = httpx.Limits(max_connections=16, max_keepalive_connections=16)
    async with httpx.AsyncClient(base_url=http.base_url, limits=limits, timeout=60) as client:
        await asyncio.gather(*(client.get("/") for _ in range(16)))  # the connections are the first replica's
        await asyncio.to_thread(serve.run, Counting.options(num_replicas=4).bind(gate))
        held = [handle.hold.remote() for _ in range(3)]
        await asyncio.to_thread(wait_until, lambda: ray.get(gate.counts.remote())[0] == 3)
        answers = await asyncio.gather(*(client.get("/") for _ in range(64)))
        assert {answer.status_code for answer in answers} == {200}
        (free,) = {answer.json() for answer in answers}
        await gate.open.remote()
        assert free not in {await response for response in held}


def test_back_pressure_is_503(http: httpx.Client, gate: Any) -> None:
    handle = serve.run(Gated.options(max_ongoing_requests=1, max_queued_requests=0).bind(gate))
    response = handle.remote()
    wait_until(lambda: ray.get(gate.counts.remote())[0] == 1)
    assert http.get("/").status_code == 503
    ray.get(gate.open.remote())
    assert response.result() is None
    assert http.get("/").status_code == 200


@serve.deployment
class Front:
    def __init__(self, back: Any) -> None:
        self.back = back

    async def __call__(self, request: Request) -> None:
        await self.back.remote()


def test_a_client_that_goes_cancels_all_stages(http: httpx.Client, gate: Any) -> None:
    serve.run(Front.options(max_ongoing_requests=1).bind(Gated.bind(gate)))
    host, port = serve.status().http_address.split(":")
    for n in range(1, 4):
        with socket.create_connection((host, int(port))) as connection:
            connection.sendall(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n")
            wait_until(partial(_counted, gate, 0, n))
        wait_until(partial(_counted, gate, 1, n))
    ray.get(gate.open.remote())
    assert http.get("/").status_code == 200


def _counted(gate: Any, which: int, count: int) -> bool:
    return bool(ray.get(gate.counts.remote())[which] == count)


def test_fastapi(http: httpx.Client) -> None:
    app = fastapi.FastAPI()

    @serve.deployment
    @serve.ingress(app)
    class Api:
        def __init__(self, word: str) -> None:
            self.word = word

        @app.get("/hello/{name}")
        def hello(self, name: str, loud: bool = False) -> dict[str, str]:
            return {"said": f"{self.word} {name}{'!' if loud else ''}"}

        @app.post("/double")
        async def double(self, model: Model) -> Model:
            return Model(name=2 * model.name)

        @app.get("/stream")
        async def stream(self) -> fastapi.responses.StreamingResponse:
            async def parts() -> AsyncIterator[str]:
                yield "a"
                yield self.word

            return fastapi.responses.StreamingResponse(parts())

    serve.run(Api.bind("hi"), route_prefix="/api")
    assert http.get("/api/hello/bob", params={"loud": True}).json() == {"said": "hi bob!"}
    assert http.post("/api/double", json={"name": "x"}).json() == {"name": "xx"}
    assert http.post("/api/double", json={"no": "x"}).status_code == 422
    assert http.get("/api/double").status_code == 405
    assert http.get("/api/none").json() == {"detail": "Not Found"}
    assert http.get("/api/stream").text == "ahi"
    schema = http.get("/api/openapi.json").json()
    parameters = schema["paths"]["/hello/{name}"]["get"]["parameters"]
    assert [parameter["name"] for parameter in parameters] == ["name", "loud"]


def test_lifespan_and_a_builder(http: httpx.Client, gate: Any) -> None:
    def build() -> fastapi.FastAPI:
        @contextlib.asynccontextmanager
        async def lifespan(app: fastapi.FastAPI) -> AsyncIterator[None]:
            app.state.ready = True
            yield
            await gate.open.remote()

        app = fastapi.FastAPI(lifespan=lifespan)

        @app.get("/")
        def ready(request: fastapi.Request) -> bool:
            return bool(request.app.state.ready)

        return app

    @serve.deployment
    @serve.ingress(build)
    class Built: ...

    serve.run(Built.bind(), name="built")
    assert http.get("/").json() is True
    serve.delete("built")
    assert ray.get(gate.wait.remote()) is None


IMPORTED = """
import os
import fastapi

app = fastapi.FastAPI()

@app.get("/")
def pid() -> int:
    return os.getpid()

def make() -> fastapi.FastAPI:
    return app
"""


@pytest.mark.parametrize("name", ["app", "make"])
def test_an_application_that_the_replica_imports(
    http: httpx.Client, name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "imported_by_replicas.py").write_text(IMPORTED)
    monkeypatch.syspath_prepend(str(tmp_path))

    @serve.deployment
    @serve.ingress(f"imported_by_replicas:{name}")
    class Imported: ...

    serve.run(Imported.bind(), name="imported")
    assert "imported_by_replicas" not in sys.modules
    assert [http.get("/").json()] == list(replica_pids().values())


def test_import_paths_of_applications_that_are_none(http: httpx.Client) -> None:
    for path in ("shop", "shop.app", ":app", "shop:"):
        with pytest.raises(ValueError, match=f"is module:attribute, but got '{path}'"):
            serve.ingress(path)

    @serve.deployment
    @serve.ingress("no_such_module:app")
    class Missing: ...

    with pytest.raises(RuntimeError, match="No module named 'no_such_module'"):
        serve.run(Missing.bind(), name="missing")


def test_a_taken_port() -> None:
    with socket.socket() as taken, pytest.raises(OSError, match="Serve cannot listen on"):
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        bind(*taken.getsockname())


def test_another_address(http: httpx.Client, caplog: pytest.LogCaptureFixture) -> None:
    with pytest.raises(serve.exceptions.RayServeException, match=r"on 127\.0\.0\.1:0 already.*0\.0\.0\.0:1234"):
        serve.run(Echo.bind(), host="0.0.0.0", port=1234)
    declared = replace(build(Echo.bind(), "declared", "/declared"), declared=True)  # as a config does
    with pytest.raises(serve.exceptions.RayServeException, match=r"on 127\.0\.0\.1:0 already.*127\.0\.0\.1:1235"):
        api.deploy([declared], serve.HTTPOptions(port=1235), wait=True)
    assert serve.status().applications == {}
    with caplog.at_level(logging.WARNING, "ray_async"):
        serve.start({"port": 1234, "keep_alive_timeout_s": 7})
    assert "port" in caplog.text and "keep_alive_timeout_s" in caplog.text


def test_an_ingress_class_looks_like_the_class() -> None:
    class Plain:
        """Plain words."""

        value: int

    made = serve.ingress(fastapi.FastAPI())(Plain)
    for name in ("__name__", "__qualname__", "__module__", "__doc__", "__annotations__"):
        assert getattr(made, name) == getattr(Plain, name)
    assert made.__wrapped__ is Plain


def test_status_of_what_takes_http_and_ends_of_applications(http: httpx.Client) -> None:
    serve.delete("other")  # which is not there
    with pytest.raises(ValueError, match=r"Invalid route_prefix 'other', must start with a forward slash \('/'\)"):
        serve.run(serve.deployment(lambda: "other").bind(), route_prefix="other")
    serve.run(serve.deployment(name="other")(lambda: "other").bind(), name="other")
    assert serve.status().proxies == {ray.get_runtime_context().get_node_id(): "HEALTHY"}
    assert serve.status().http_accepted_by == "REPLICAS"
    serve.delete("other")
    serve.delete("other")
    assert "other" not in serve.status().applications
    wait_until(lambda: serve.status().http_accepted_by == "CONTROLLER")
