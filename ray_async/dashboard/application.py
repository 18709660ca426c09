"""The application of the dashboard: its parts, and who may ask them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

from aiohttp import web

from ray_async.dashboard.access import Access
from ray_async.dashboard.jobs.manager import JobManager
from ray_async.dashboard.jobs.routes import JobRoutes
from ray_async.dashboard.logs import Logs
from ray_async.dashboard.metrics import Metrics
from ray_async.dashboard.node_questions import NodeQuestions
from ray_async.dashboard.stacks import Stacks
from ray_async.dashboard.tables import Tables
from ray_async.version import __version__

__all__ = ("make_application",)

_STATIC = Path(__file__).parent / "static"
_LARGEST_BODY = 1 << 20
_TYPES = {".html": "text/html", ".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}


def make_application(access: Access, address: str, session_dir: str) -> web.Application:
    """Make the application.

    Args:
        access: lets requests through.
        address: the node's.
        session_dir: its folder.
    """
    questions = NodeQuestions(address)
    app = web.Application(middlewares=[access.middleware], client_max_size=_LARGEST_BODY)
    app.on_response_prepare.append(access.add_headers)
    app.add_routes(_static_routes())
    app.add_routes(Logs(session_dir, questions).routes())  # before the tables, whose paths theirs are like
    app.add_routes(JobRoutes(JobManager(session_dir, questions), questions).routes())
    app.add_routes(Metrics(session_dir, questions).routes())
    app.add_routes(Stacks(session_dir, questions).routes())
    app.add_routes(Tables(questions).routes())

    async def version(request: web.Request) -> web.Response:
        return web.json_response({"version": "4", "ray_version": __version__, "session_name": Path(session_dir).name})

    async def healthy(request: web.Request) -> web.Response:
        return web.Response(text="success")

    async def link(request: web.Request) -> web.Response:
        return web.json_response({"code": access.new_code()})

    app.add_routes(
        [web.get("/api/version", version), web.get("/healthz", healthy), web.post("/api/link", link)],
    )

    async def questions_end(_: web.Application) -> AsyncIterator[None]:
        yield
        questions.close()

    app.cleanup_ctx.append(questions_end)
    return app


def _static_routes() -> list[web.RouteDef]:
    """One route for each file there is: no path can lead anywhere else."""
    return [_static_route(path) for path in sorted(_STATIC.iterdir()) if path.suffix in _TYPES]


def _static_route(path: Path) -> web.RouteDef:
    body = path.read_bytes()

    async def serve(request: web.Request) -> web.Response:
        response = web.Response(body=body, content_type=_TYPES[path.suffix], charset="utf-8")
        response.enable_compression()
        return response

    return web.get("/" if path.name == "index.html" else f"/{path.name}", serve)
