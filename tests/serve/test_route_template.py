"""Templates of routes, by what applications leave in a request's scope."""

import asyncio
from typing import Any

import fastapi
import pytest
from starlette.applications import Starlette
from starlette.middleware.cors import CORSMiddleware
from starlette.responses import PlainTextResponse
from starlette.routing import Mount, Route, WebSocketRoute

from ray_async.serve.telemetry.route_template import UNMATCHED, RouteTemplates


def answer(request: Any, **_: Any) -> PlainTextResponse:
    return PlainTextResponse("x")


async def talk(socket: Any) -> None:
    await socket.accept()


def fastapi_app() -> fastapi.FastAPI:
    app, router, inner = fastapi.FastAPI(), fastapi.APIRouter(prefix="/router"), fastapi.APIRouter()
    inner.add_api_route("/deep/{key}", answer_fastapi)
    inner.add_api_websocket_route("/talk/{key}", talk)
    router.include_router(inner, prefix="/inner")
    app.include_router(router, prefix="/v1")
    app.add_api_route("/users/{user}", answer_fastapi)
    app.mount("/sub/{tenant}", starlette_app())
    return app


def answer_fastapi() -> str:
    return "x"


def starlette_app() -> Starlette:
    deep = Starlette(routes=[Route("/leaf/{n:int}", answer)])
    return Starlette(
        routes=[
            Route("/files/{path:path}", answer),
            WebSocketRoute("/talk/{key}", talk),
            Mount("/deep", deep),
            Mount("/raw", PlainTextResponse("raw")),
        ]
    )


def template(app: Any, path: str, method: str = "GET", kind: str = "http", prefix: str = "/p") -> str:
    """The template of a path below a prefix, after the application has run."""
    root = "" if prefix == "/" else prefix
    scope: dict[str, Any] = {
        "type": kind,
        "method": method,
        "path": root + path,
        "raw_path": (root + path).encode(),
        "root_path": root,
        "query_string": b"",
        "headers": [],
    }
    if kind == "websocket":
        del scope["method"]

    async def receive() -> dict[str, Any]:
        return {"type": "websocket.connect" if kind == "websocket" else "http.request"}

    async def send(message: dict[str, Any]) -> None: ...

    asyncio.run(app(scope, receive, send))
    return RouteTemplates(app).of(scope, root, prefix)


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/users/7", "/p/users/{user}"),
        ("/v1/router/inner/deep/7", "/p/v1/router/inner/deep/{key}"),
        ("/sub/7/files/a/b", "/p/sub/{tenant}/files/{path}"),
        ("/sub/7/deep/leaf/3", "/p/sub/{tenant}/deep/leaf/{n}"),
        ("/nothing/7", UNMATCHED),
    ],
)
def test_fastapi(path: str, expected: str) -> None:
    assert template(fastapi_app(), path) == expected


def test_websockets_of_routers() -> None:
    assert template(fastapi_app(), "/v1/router/inner/talk/7", kind="websocket") == "/p/v1/router/inner/talk/{key}"
    assert template(starlette_app(), "/talk/7", kind="websocket") == "/p/talk/{key}"


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/files/a/b", "/files/{path}"),
        ("/deep/leaf/3", "/deep/leaf/{n}"),
        ("/raw/any/thing", "/raw/{path}"),
        ("/nothing", UNMATCHED),
    ],
)
def test_starlette(path: str, expected: str) -> None:
    assert template(starlette_app(), path, prefix="/") == expected


def test_a_wrong_method_has_a_template_too() -> None:
    assert template(fastapi_app(), "/users/7", method="DELETE") == "/p/users/{user}"


def test_below_a_middleware() -> None:
    assert template(CORSMiddleware(starlette_app()), "/files/a") == "/p/files/{path}"


def test_other_applications_have_their_prefix() -> None:
    assert template(PlainTextResponse("x"), "/any/thing") == "/p"
    assert RouteTemplates(None).of({}, "", "/p") == "/p"
