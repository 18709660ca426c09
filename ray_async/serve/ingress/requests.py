"""Requests over HTTP: each finds its application, runs here or elsewhere, and is answered."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Coroutine, Mapping
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING, Any

from uvicorn.protocols.utils import ClientDisconnected

import ray_async as ray
from ray_async.serve.context import RequestContext, current_replica, current_request, new_request_id
from ray_async.serve.handle.client import Client
from ray_async.serve.ingress.body import Receive, RestOfBody, limited
from ray_async.serve.ingress.incoming import Incoming
from ray_async.serve.ingress.left_handlers import cancel_handler
from ray_async.serve.ingress.lifespan import Lifespan
from ray_async.serve.ingress.local import Local, Run
from ray_async.serve.ingress.places import Place, Places
from ray_async.serve.ingress.plain_app import PlainApp
from ray_async.serve.ingress.reply import IDEMPOTENT, Reply, RequestTimeout, Send, answer, status_of, timeout_of
from ray_async.serve.ingress.routes import RouteTable
from ray_async.serve.ingress.transfers import Transfers
from ray_async.serve.loaded import loaded
from ray_async.serve.multiplexing.decorator import is_multiplexed
from ray_async.serve.names import folder
from ray_async.serve.telemetry.exposition import metrics_page
from ray_async.serve.telemetry.telemetry import Telemetry

if TYPE_CHECKING:
    from ray_async.serve.ingress.connection import Connection
    from ray_async.serve.ingress.websocket import Websocket

__all__ = ("Requests",)

logger = logging.getLogger("ray_async.serve")
_EARLY = 0.005  # seconds that a loop's timer may be early
_MODEL_ID, _TIMEOUT = b"serve_multiplexed_model_id", b"x-request-timeout-seconds"


class Requests:
    """The ASGI application of a server of Serve's: takes all requests of its connections.

    Args:
        client: The process's client.
        http: The HTTP options.
        telemetry: Whom to tell of requests.
        local: The replica that is here; None: all requests are handed over.
        news: Serve's folder, where replicas tell each other of free slots; None: they do not.
    """

    def __init__(
        self,
        client: Client,
        http: dict[str, Any],
        telemetry: Telemetry,
        local: Local | None = None,
        news: Path | None = None,
    ) -> None:
        self._local = local
        self._own = None if local is None else local.target  # whose requests may run here at once
        self._multiplexes = local is not None and is_multiplexed(type(local.runner.target))
        self._client = client
        self._telemetry = telemetry
        asgi = None if local is None else local.asgi
        self._run: Run | None = None if local is None else PlainApp(local.runner) if asgi is None else _of_asgi(asgi)
        self._lifespan = None if asgi is None else Lifespan(asgi)
        self._timeout = http["request_timeout_s"]
        self._max_body = http["max_body_bytes"]
        self._root: str = http["root_path"]
        self._is_tls = http["ssl_certfile"] is not None
        self._routes = RouteTable(client)
        self._places = Places(client, self._routes, self._root, local)
        self._transfers = Transfers(client, self._match, self._run_here, local, news)
        self._incoming: Incoming | None = None
        if local is not None and self._run is not None:
            self._incoming = Incoming(local.target[0], self._run, self._fail, telemetry)
        self._pages = ("/-/healthz", "/-/routes", *(("/-/metrics",) if http["metrics"] else ()))
        self._loop = asyncio.get_running_loop()

    @property
    def asks_router(self) -> bool:
        """Whether a router of the user's chooses for each request, also for those that could run here at once."""
        return self._own is None

    @asks_router.setter
    def asks_router(self, asks: bool) -> None:
        self._own = None if asks or self._local is None else self._local.target

    async def startup(self) -> None:
        """Start the user's ASGI application."""
        if self._lifespan is not None:
            await self._lifespan.startup()

    async def shutdown(self) -> None:
        """Let the user's ASGI application clean up."""
        self._transfers.close()
        if self._lifespan is not None:
            await self._lifespan.shutdown()

    async def answer(
        self, connection: Connection | Websocket, scope: dict[str, Any], receive: Receive, send: Send
    ) -> None:
        """Answer a request, or serve a websocket.

        Args:
            connection: The connection that the request came by.
            scope: The ASGI scope.
            receive: Gives the parts of the body.
            send: Sends the parts of the answer.
        """
        path = self._below_root(scope) if self._root else scope["path"]
        is_http = scope["type"] == "http"
        if connection.is_last and is_http:
            send = _last(send)
        if path.startswith("/-/") and is_http and path in self._pages:
            await answer(send, *await self._page(path, scope))
            return
        if self._is_tls and scope["type"] == "websocket":
            scope["scheme"] = "wss"  # also where another process has the encryption
        headers = dict(scope["headers"])
        request_id = headers.get(b"x-request-id")
        request_name = request_id.decode("latin-1") if request_id else new_request_id()
        reply = Reply(send, request_name)
        found = self._routes.match(path)
        if found is None:
            observed = self._telemetry.observe(scope, reply, None, asyncio.current_task(self._loop))
            await self._not_found(scope, path, reply)
            if observed is not None:
                observed.end()
            return
        prefix, target = found
        model_id = headers.get(_MODEL_ID)
        task = asyncio.current_task(self._loop)
        request = RequestContext(request_name, prefix, target[0], model_id.decode("latin-1") if model_id else "", task)
        if is_http and scope["method"] in IDEMPOTENT:
            request.idempotent = True
        current_request.set(request)
        scope["root_path"] = self._root + prefix if prefix != "/" else self._root
        observed = self._telemetry.observe(scope, reply, found, task)
        connection.running = task
        try:
            if b"content-length" in headers or b"transfer-encoding" in headers:
                receive = limited(receive, headers, self._max_body)
            if is_http and (self._timeout is not None or _TIMEOUT in headers):
                timeout = timeout_of(headers, self._timeout)
                await self._timed(self._begin_later(scope, receive, reply, request, target), timeout, reply, request)
            elif is_http and not model_id and target == self._own and (local := self._local) and local.slots.free:
                local.slots.take()
                await self._run_here(local, scope, receive, reply)
            else:
                await self._dispatch(scope, receive, reply, request, target)
        except asyncio.CancelledError:
            request.cancel_calls()
            if connection.refused is not None:
                reply.failure = connection.refused[0]
            if connection.refused is not None and not reply.started:
                await reply.answer(*connection.refused)
            elif not connection.gone:
                raise
            elif not is_http:
                reply.closed(connection.close_code)
        except Exception as error:
            request.cancel_calls()
            if not is_http and _has_left(error):
                reply.closed(connection.close_code)
            else:
                if observed is not None:
                    observed.failed(error)
                await self._fail(scope, reply, request, error)
        finally:
            request.task = None  # its context refers to the request
            connection.running = None
            if observed is not None:
                observed.end()

    async def _page(self, path: str, scope: dict[str, Any]) -> tuple[int, bytes, bytes]:
        if path != "/-/metrics":
            return self._routes.built_in(path)
        accept = dict(scope["headers"]).get(b"accept", b"").decode("latin-1")
        return 200, *await asyncio.to_thread(metrics_page, folder(), self._client, accept)

    def elsewhere(self, path: str, headers: Mapping[bytes, bytes]) -> Place:
        """The process to which a websocket's connection goes, or what to await for it; None: it stays here."""
        return self._places.of_websocket(path, headers)

    def successors(self) -> list[Path]:
        """The sockets of processes that can take connections over."""
        return self._places.of_idle()

    async def handed_over(
        self, request_id: str, route: str, scope: dict[str, Any], body: bytes, rest: RestOfBody | None
    ) -> AsyncIterator[list[dict[str, Any]]]:
        """Run a request that came to another process: see `Incoming`."""
        assert self._incoming is not None
        lists = self._incoming.run(request_id, route, scope, body, rest)
        try:
            async for messages in lists:
                yield messages
        finally:
            await lists.aclose()  # type: ignore[attr-defined]

    def _match(self, path: str) -> Any:
        return self._routes.match(self._places.cut_root(path))

    def _below_root(self, scope: dict[str, Any]) -> str:
        """The path below the root path, whether or not a proxy before this server has cut that off."""
        path: str = scope["path"]
        below = self._places.cut_root(path)
        if self._root and below is path:
            scope["path"] = self._root + path
            scope["raw_path"] = self._root.encode() + scope["raw_path"]
        return below

    async def _not_found(self, scope: dict[str, Any], path: str, reply: Reply) -> None:
        hint = f"Path '{path}' not found. Ping http://.../-/routes for available routes."
        if scope["type"] == "websocket":
            await reply.refuse(scope, 404, hint, 1008)
        else:
            await reply.answer(404, hint)

    async def _timed(
        self, work: Coroutine[Any, Any, None], timeout: float | None, reply: Reply, request: RequestContext
    ) -> None:
        """Do the work, or raise when its time is over. A handler in a thread keeps its slot until it is done."""
        if timeout is not None:
            request.deadline = monotonic() + timeout - _EARLY
        task = asyncio.get_running_loop().create_task(work)
        request.task = task
        try:
            done, _ = await asyncio.wait([task], timeout=timeout)
        except asyncio.CancelledError:
            cancel_handler(task, request.request_id)
            raise
        if not done:
            reply.expired = True
            cancel_handler(task, request.request_id)
            raise RequestTimeout
        try:
            task.result()
        finally:
            del task  # an error's traceback has this frame, and the task has the error

    def _dispatch(
        self, scope: dict[str, Any], receive: Receive, reply: Reply, request: RequestContext, target: tuple[str, str]
    ) -> Coroutine[Any, Any, None]:
        """Choose where a request runs; what is given is to be awaited at once."""
        local = self._local
        if scope["type"] == "websocket":
            return self._websocket(scope, receive, reply, target)
        if local is None or not self._is_for(local, target, request.multiplexed_model_id):
            return self._transfers.send(scope, receive, reply, request, target)
        local.slots.take()
        return self._run_here(local, scope, receive, reply)

    async def _begin_later(self, *arguments: Any) -> None:
        """Dispatch in an asyncio task of its own, which may end before it begins: with no slot, then."""
        await self._dispatch(*arguments)

    async def _run_here(self, local: Local, scope: dict[str, Any], receive: Receive, reply: Reply) -> None:
        """Run a request in this process.

        Args:
            local: The replica that is here; a slot of its own was taken for the request.
            scope: The ASGI scope.
            receive: Gives the parts of the body.
            reply: The way back.
        """
        assert self._run is not None
        reply.replica = local.replica
        try:
            # Left by an error alone: the scope of a request that is done goes with the context of its asyncio task.
            with_it = ray.cancel_scope()  # its tasks and actor calls
            with_it.__enter__()
            try:
                await self._run(scope, receive, reply)
            except BaseException as error:
                with_it.__exit__(type(error), error, None)
                raise
        finally:
            local.slots.release()

    def _is_for(self, local: Local, target: tuple[str, str], model_id: str) -> bool:
        """Whether the replica that is here takes a request; no other one is better suited to the model then."""
        if target != self._own or not local.slots.free:
            return False
        holdings = current_replica.holdings
        if not model_id or not self._multiplexes or holdings is None or model_id in holdings:
            return True
        chosen = self._client.router(*target, asyncio.get_running_loop()).choose(model_id)
        return chosen is None or chosen.slot == local.slots.place

    async def _websocket(self, scope: dict[str, Any], receive: Receive, reply: Reply, target: tuple[str, str]) -> None:
        # A websocket stays where its connection is: that has been passed on already, if there was a better place.
        local = self._local
        if local is not None and target == local.target and local.asgi is None:
            await reply.refuse(scope, 404, f"Deployment {target[1]!r} serves no websockets.", 1008)
        elif local is None or target != local.target or not local.slots.free:
            await reply.refuse(scope, 503, f"No replica of {target[1]!r} is free.", 1013)
        else:
            local.slots.take()
            await self._run_here(local, scope, reply.noting(receive), reply)
            reply.closed(1000)

    async def _fail(self, scope: dict[str, Any], reply: Reply, request: RequestContext, error: Exception) -> None:
        status, text = status_of(error)
        reply.failure = status
        if status >= 500 and status != 503:
            logger.error("Request %s failed.", request.request_id, exc_info=error)
        if scope["type"] == "websocket":
            await reply.end_websocket(scope, status, text)
            return
        if reply.started:
            raise error  # the connection ends without the end of its body
        await reply.answer(status, text, getattr(error, "headers", None))


def _has_left(error: Exception) -> bool:
    """Whether an error is what sending raises to a websocket's client that has gone."""
    return isinstance(error, (ClientDisconnected, loaded("starlette.websockets", "WebSocketDisconnect")))


def _last(send: Send) -> Send:
    """Sends an answer after which the connection ends."""

    async def last(message: dict[str, Any]) -> None:
        if message["type"] == "http.response.start":
            message = {**message, "headers": [*message["headers"], (b"connection", b"close")]}
        await send(message)

    return last


def _of_asgi(app: Any) -> Run:
    def run(scope: dict[str, Any], receive: Receive, reply: Reply) -> Awaitable[None]:
        answered: Awaitable[None] = app(scope, receive, reply.send)
        return answered

    return run
