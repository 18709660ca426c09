"""Methods as routes of FastAPI: on applications and routers, of a class and of its base, overridden or not."""

from typing import Any

import fastapi
import httpx
import pytest
from fastapi.responses import RedirectResponse
from websockets.sync.client import connect

from ray_async import serve


async def authorized(token: str = "") -> str:
    if token != "secret":
        raise fastapi.HTTPException(401)
    return token


class Routers:
    """An application, and routers that are included before the class, after it, and in one another."""

    def __init__(self) -> None:
        self.app = fastapi.FastAPI()
        self.early = fastapi.APIRouter(prefix="/early")
        self.late = fastapi.APIRouter()
        self.middle = fastapi.APIRouter(prefix="/middle", dependencies=[fastapi.Depends(authorized)])
        self.inner = fastapi.APIRouter()
        self.app.include_router(self.early)

    def include_late(self) -> None:
        self.middle.include_router(self.inner, prefix="/inner")
        self.app.include_router(self.middle, prefix="/v1")
        self.app.include_router(self.late, prefix="/late")


def base_of(routers: Routers) -> Any:
    app = routers.app

    class Base:
        def __init__(self, word: str) -> None:
            self.word = word

        @app.get("/inherited/{name}")
        def inherited(self, name: str) -> str:
            return f"{self.word} {name}"

        @app.get("/overridden/{name}")
        async def overridden(self, name: str) -> str:
            return f"base {self.word} {name}"

        @routers.early.get("/base/{name}")
        async def early_in_base(self, name: str) -> str:
            return f"{self.word} {name}"

        @routers.inner.get("/base/{name}")
        def inner_in_base(self, name: str) -> str:
            return f"{self.word} {name}"

    return Base


def class_of(routers: Routers) -> Any:
    app = routers.app

    class Api(base_of(routers)):  # type: ignore[misc]
        async def overridden(self, name: str) -> str:
            return f"own {self.word} {name}"

        @app.get("/on-app/{name}")
        def on_app(self, name: str, loud: bool = False) -> str:
            return f"{self.word} {name}{'!' if loud else ''}"

        @routers.early.post("/body")
        async def early_body(self, values: list[int]) -> dict[str, Any]:
            return {self.word: sum(values)}

        @routers.late.get("/{name}")
        async def late(self, name: str) -> str:
            return f"{self.word} {name}"

        @routers.inner.get("/own/{name}", name="deep")
        def inner(self, name: str) -> str:
            return f"{self.word} {name}"

        @routers.inner.websocket("/talk/{name}")
        async def talk(self, websocket: fastapi.WebSocket, name: str) -> None:
            await websocket.accept()
            await websocket.send_text(f"{self.word} {name}")
            await websocket.close()

        @app.websocket("/talk/{name}")
        async def talk_on_app(self, websocket: fastapi.WebSocket, name: str) -> None:
            await self.talk(websocket, name)

        @app.get("/where")
        def where(self, request: fastapi.Request) -> list[str]:
            return [request.url_for("deep", name="x").path, request.url_for("on_app", name="y").path]

        @app.get("/away")
        def away(self, request: fastapi.Request) -> RedirectResponse:
            return RedirectResponse(request.url_for("where"))

        @app.get("/slash/")
        def slash(self) -> str:
            return f"{self.word}"

    return Api


def given() -> Any:
    """A deployment whose application is given as it is; routers come before and after the class."""
    routers = Routers()
    api = class_of(routers)
    routers.include_late()
    return serve.deployment(serve.ingress(routers.app)(api))


def built() -> Any:
    """A deployment whose application is made in the replica, by routers that come before and after."""
    routers = Routers()
    api = class_of(routers)

    def build() -> fastapi.FastAPI:
        routers.include_late()
        return routers.app

    return serve.deployment(serve.ingress(build)(api))


def included_after_ingress() -> Any:
    """A deployment whose last routers are included when the class is a deployment already."""
    routers = Routers()
    deployment = serve.deployment(serve.ingress(routers.app)(class_of(routers)))
    routers.include_late()
    return deployment


SECRET = {"token": "secret"}
# Older versions of FastAPI copy what a router has when it is included; what it gets later is not the application's.
FOLLOWS_ROUTERS = hasattr(fastapi.routing, "_IncludedRouter")
ANSWERS = {
    "/on-app/bob": "hi bob",
    "/on-app/bob?loud=1": "hi bob!",
    "/inherited/bob": "hi bob",
    "/overridden/bob": "own hi bob",
    "/early/base/bob": "hi bob",
    "/late/bob": "hi bob",
    "/v1/middle/inner/base/bob?token=secret": "hi bob",
    "/v1/middle/inner/own/bob?token=secret": "hi bob",
    "/slash": "hi",
    "/where": ["/api/v1/middle/inner/own/x", "/api/on-app/y"],
    "/away": ["/api/v1/middle/inner/own/x", "/api/on-app/y"],
}
TALKS = ("/talk/ann", "/v1/middle/inner/talk/ann?token=secret")


@pytest.mark.parametrize("make", [given, built, included_after_ingress])
def test_all_combinations(http: httpx.Client, make: Any) -> None:
    serve.run(make().options(num_replicas=2).bind("hi"), route_prefix="/api")
    expected = {path: answer for path, answer in ANSWERS.items() if FOLLOWS_ROUTERS or "early" not in path}
    found = {path: http.get(f"/api{path}", follow_redirects=True).json() for path in expected}
    assert found == expected
    assert http.get("/api/slash").headers["location"].endswith("/api/slash/")
    assert http.get("/api/away").headers["location"].endswith("/api/where")
    if FOLLOWS_ROUTERS:
        assert http.post("/api/early/body", json=[1, 2]).json() == {"hi": 3}
        assert http.post("/api/early/body", json="no").status_code == 422
    assert http.get("/api/v1/middle/inner/own/bob").status_code == 401
    for path in TALKS:
        with connect(f"ws://{http.base_url.host}:{http.base_url.port}/api{path}", open_timeout=60) as client:
            assert client.recv(60) == "hi ann"
    schema = http.get("/api/openapi.json").json()
    assert schema["servers"] == [{"url": "/api"}]
    named = [
        parameter["name"]
        for path in schema["paths"].values()
        for operation in path.values()
        for parameter in operation.get("parameters", ())
    ]
    assert "name" in named and "self" not in named
    assert "/v1/middle/inner/own/{name}" in schema["paths"] and "/late/{name}" in schema["paths"]


def siblings() -> tuple[Any, Any]:
    """Two classes of one base and one application."""
    routers = Routers()
    app, base = routers.app, base_of(routers)

    class First(base):  # type: ignore[valid-type,misc]
        @app.get("/first")
        def first(self) -> str:
            return f"first {self.word}"

        @routers.inner.get("/first")
        def inner_first(self) -> str:
            return f"first {self.word}"

    class Second(base):  # type: ignore[valid-type,misc]
        @app.get("/second")
        def second(self) -> str:
            return f"second {self.word}"

        def overridden(self, name: str) -> str:
            return f"second {name}"

    routers.include_late()
    return serve.ingress(app)(First), serve.ingress(app)(Second)


def test_classes_of_one_base_do_not_see_each_other(http: httpx.Client) -> None:
    first, second = siblings()
    serve.run(serve.deployment(first).bind("a"), name="first", route_prefix="/1")
    serve.run(serve.deployment(second).bind("b"), name="second", route_prefix="/2")
    assert [http.get(f"/{n}/inherited/x").json() for n in (1, 2)] == ["a x", "b x"]
    assert [http.get(f"/{n}/overridden/x").json() for n in (1, 2)] == ["base a x", "second x"]
    inner = "/v1/middle/inner"
    assert [http.get(f"/{n}{inner}/base/x", params=SECRET).json() for n in (1, 2)] == ["a x", "b x"]
    assert http.get("/1/first").json() == http.get(f"/1{inner}/first", params=SECRET).json() == "first a"
    assert http.get("/2/second").json() == "second b"
    assert [http.get(path).status_code for path in ("/1/second", "/2/first", f"/2{inner}/first")] == [404] * 3
    for number, own, other in ((1, "/first", "/second"), (2, "/second", "/first")):
        paths = http.get(f"/{number}/openapi.json").json()["paths"]
        assert own in paths and other not in paths
