"""Requests over HTTP: each finds its application, runs here or elsewhere, and is answered."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Coroutine
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from starlette.websockets import WebSocketDisconnect

import ray_async as ray
from ray_async.serve.context import RequestContext, current_replica, current_request, new_request_id
from ray_async.serve.handle.client import Client
from ray_async.serve.handle.response import Call
from ray_async.serve.ingress.body import Receive, RestOfBody, bodies, limited, read_start
from ray_async.serve.ingress.lifespan import Lifespan
from ray_async.serve.ingress.passing import passing_path
from ray_async.serve.ingress.plain_app import PlainApp
from ray_async.serve.ingress.reply import ROUTE, Reply, RequestTimeout, Send, answer, status_of, timeout_of
from ray_async.serve.ingress.routes import RouteTable
from ray_async.serve.multiplexing.decorator import is_multiplexed
from ray_async.serve.names import folder
from ray_async.serve.replica.runner import Runner
from ray_async.serve.replica.slots import Slots
from ray_async.serve.telemetry.exposition import metrics_page
from ray_async.serve.telemetry.telemetry import Telemetry

__all__ = ("Local", "Requests")

logger = logging.getLogger("ray_async.serve")


@dataclass(frozen=True)
class Local:
    """What runs requests in this process.

    Args:
        target: Application and deployment of the replica.
        slots: Its slots.
        runner: What runs the user's methods.
        asgi: The user's ASGI application; None: requests go to ``__call__``.
        replica: The replica's id.
    """

    target: tuple[str, str]
    slots: Slots
    runner: Runner
    asgi: Any
    replica: str = ""


class Requests:
    """The ASGI application of a server of Serve's: takes all requests of its connections.

    Args:
        client: The process's client.
        http: The HTTP options.
        telemetry: Whom to tell of requests.
        local: The replica that is here; None: all requests are handed over.
    """

    def __init__(self, client: Client, http: dict[str, Any], telemetry: Telemetry, local: Local | None = None) -> None:
        self.leaving = False  # whether the answer to each request is the last one on its connection
        self._local = local
        self._multiplexes = local is not None and is_multiplexed(type(local.runner.target))
        self._client = client
        self._telemetry = telemetry
        asgi = None if local is None else local.asgi
        self._asgi: Any = PlainApp(local.runner) if local is not None and asgi is None else asgi
        self._lifespan = None if asgi is None else Lifespan(asgi)
        self._timeout = http["request_timeout_s"]
        self._max_body = http["max_body_bytes"]
        self._root = http["root_path"]
        self._is_tls = http["ssl_certfile"] is not None
        self._left: set[asyncio.Task[None]] = set()  # handlers that go on after their request's end
        self._routes = RouteTable(client)
        self._pages = ("/-/healthz", "/-/routes", *(("/-/metrics",) if http["metrics"] else ()))

    async def startup(self) -> None:
        """Start the user's ASGI application."""
        if self._lifespan is not None:
            await self._lifespan.startup()

    async def shutdown(self) -> None:
        """Let the user's ASGI application clean up."""
        if self._lifespan is not None:
            await self._lifespan.shutdown()

    async def __call__(self, scope: dict[str, Any], receive: Receive, send: Send) -> None:
        """Answer a request, or serve a websocket."""
        path = self._below_root(scope)
        if path.startswith("/-/") and scope["type"] == "http" and path in self._pages:
            await answer(send, 200, *await self._page(path, scope))
            return
        if self._is_tls and scope["type"] == "websocket":
            scope["scheme"] = "wss"  # also where another process has the encryption
        headers = dict(scope["headers"])
        task = asyncio.current_task()
        reply = Reply(send, headers.get(b"x-request-id", b"").decode("latin-1") or new_request_id(), task)
        found = self._routes.match(path)
        if found is None:
            observed = self._telemetry.observe(scope, reply, None)
            await self._not_found(scope, path, reply)
            if observed is not None:
                observed.end()
            return
        prefix, app, deployment = found
        model_id = headers.get(b"serve_multiplexed_model_id", b"").decode("latin-1")
        request = RequestContext(reply.request_id, prefix, app, model_id, task=task)
        current_request.set(request)
        scope["root_path"] = self._root + (prefix if prefix != "/" else "")
        observed = self._telemetry.observe(scope, reply, found)
        try:
            timeout = timeout_of(headers, self._timeout) if scope["type"] == "http" else None
            work = self._dispatch(scope, limited(receive, headers, self._max_body), reply, request, (app, deployment))
            await (work if timeout is None else self._timed(work, timeout, reply, request))
        except asyncio.CancelledError:
            request.cancel_calls()
            raise
        except Exception as error:
            request.cancel_calls()
            if observed is not None:
                observed.failed(error)
            await self._fail(scope, reply, request, error)
        finally:
            request.task = None  # its context refers to the request
            if observed is not None:
                observed.end()

    async def _page(self, path: str, scope: dict[str, Any]) -> tuple[bytes, bytes]:
        if path != "/-/metrics":
            return self._routes.built_in(path)
        accept = dict(scope["headers"]).get(b"accept", b"").decode("latin-1")
        return await asyncio.to_thread(metrics_page, folder(), self._client, accept)

    def elsewhere(self, path: str) -> Path | None:
        """The socket of the replica to which a websocket's connection goes; None: it stays here."""
        found = self._routes.match(self._cut_root(path))
        if found is None:
            return None
        target, local = (found[1], found[2]), self._local
        if local is not None and target == local.target and (local.asgi is None or local.slots.free):
            return None
        chosen = self._client.router(*target, asyncio.get_running_loop()).choose("")
        return None if chosen is None else passing_path(folder(), chosen.slot)

    def _cut_root(self, path: str) -> str:
        root = self._root
        return path[len(root) :] or "/" if root and (path == root or path.startswith(f"{root}/")) else path

    def _below_root(self, scope: dict[str, Any]) -> str:
        """The path below the root path, whether or not a proxy before this server has cut that off."""
        path: str = scope["path"]
        below = self._cut_root(path)
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
        self, work: Coroutine[Any, Any, None], timeout: float, reply: Reply, request: RequestContext
    ) -> None:
        """Do the work, or raise when its time is over. A handler in a thread keeps its slot until it is done."""
        task = asyncio.get_running_loop().create_task(work)
        request.task = task
        try:
            done, _ = await asyncio.wait([task], timeout=timeout)
        except asyncio.CancelledError:
            self._cancel(task, request)
            raise
        if not done:
            reply.expired = True
            self._cancel(task, request)
            raise RequestTimeout
        task.result()

    def _cancel(self, task: asyncio.Task[None], request: RequestContext) -> None:
        task.cancel()
        self._left.add(task)

        def ended(task: asyncio.Task[None]) -> None:
            self._left.discard(task)
            if not task.cancelled() and (error := task.exception()) is not None:
                logger.error("Request %s failed after its end.", request.request_id, exc_info=error)

        task.add_done_callback(ended)

    async def _dispatch(
        self, scope: dict[str, Any], receive: Receive, reply: Reply, request: RequestContext, target: tuple[str, str]
    ) -> None:
        if scope["type"] == "websocket":
            await self._websocket(scope, receive, reply, target)
        elif (local := self._local) is not None and self._is_for(local, target, request.multiplexed_model_id):
            reply.replica = local.replica
            with local.slots, ray.cancel_scope():  # its tasks and actor calls go with it
                await self._asgi(scope, receive, reply.send)
        else:
            await self._hand_over(scope, receive, reply, request, target)

    def _is_for(self, local: Local, target: tuple[str, str], model_id: str) -> bool:
        """Whether the replica that is here takes a request; no other one is better suited to the model then."""
        if target != local.target or not local.slots.free:
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
            reply.replica = local.replica
            with local.slots, ray.cancel_scope():  # its tasks and actor calls go with it
                await self._asgi(scope, reply.noting(receive), reply.send)
            reply.closed(1000)

    async def _hand_over(
        self, scope: dict[str, Any], receive: Receive, reply: Reply, request: RequestContext, target: tuple[str, str]
    ) -> None:
        body, more = await read_start(receive, dict(scope["headers"]))
        with bodies.lent(receive) if more else nullcontext() as rest:
            await self._send_on(scope, (body, rest), reply, request, target)

    async def _send_on(
        self,
        scope: dict[str, Any],
        body: tuple[bytes, RestOfBody | None],
        reply: Reply,
        request: RequestContext,
        target: tuple[str, str],
    ) -> None:
        sent = {key: value for key, value in scope.items() if key not in ("app", "state", "extensions", "asgi")}
        router = self._client.router(*target, asyncio.get_running_loop())
        call = Call(router, self._client, request, "http", ((sent, *body), {}), stream=True, actor_method="http")
        call.start()
        try:
            messages = await call.future
            reply.replica = call.replica
            async for message in messages:
                await reply.send(message)
        except BaseException:
            call.cancel()
            raise

    async def handed_over(
        self, request_id: str, route: str, scope: dict[str, Any], body: bytes, rest: RestOfBody | None
    ) -> AsyncIterator[dict[str, Any]]:
        """Run a request that came to another replica.

        Args:
            request_id: The request's id.
            route: The prefix by which it came.
            scope: Its ASGI scope.
            body: Its body, or the beginning of it.
            rest: What is left of its body; None: nothing.

        Yields:
            The ASGI messages of the response.
        """
        request = RequestContext(request_id, route, self._local.target[0] if self._local else "")
        model_id = dict(scope["headers"]).get(b"serve_multiplexed_model_id", b"")
        request.multiplexed_model_id = model_id.decode("latin-1")
        current_request.set(request)
        scope["asgi"] = {"version": "3.0", "spec_version": "2.3"}
        messages: asyncio.Queue[dict[str, Any] | None] = asyncio.Queue(maxsize=16)
        pending = [{"type": "http.request", "body": body, "more_body": rest is not None}]
        more = rest is not None

        async def receive() -> dict[str, Any]:
            nonlocal more
            if pending:
                return pending.pop()
            if rest is not None and more:
                message = await rest.receive()
                more = message.get("more_body", False)
                return message
            await asyncio.get_running_loop().create_future()  # whoever has the connection cancels this request
            raise AssertionError

        root = scope.get("root_path", "")

        async def put(message: dict[str, Any]) -> None:
            if message["type"] == "http.response.start":  # the process that has the connection tells of the request
                message = {**message, ROUTE: self._telemetry.template(scope, root, request.route)}
            await messages.put(message)

        async def run() -> None:
            request.task = asyncio.current_task()
            reply = Reply(put, request_id, request.task)
            observed = self._telemetry.observe_here(scope, reply, request.route)
            try:
                await self._asgi(scope, receive, reply.send)
            except Exception as error:
                if observed is not None:
                    observed.failed(error)
                if reply.started:
                    raise
                await self._fail(scope, reply, request, error)
            finally:
                request.task = None
                if observed is not None:
                    observed.end()
            await messages.put(None)

        async with asyncio.TaskGroup() as group:
            task = group.create_task(run())
            task.add_done_callback(lambda done: messages.put_nowait(None) if done.exception() else None)
            try:
                while (message := await messages.get()) is not None:
                    yield message
            except (asyncio.CancelledError, GeneratorExit):
                request.cancel_calls()
                task.cancel()
                raise

    async def _fail(self, scope: dict[str, Any], reply: Reply, request: RequestContext, error: Exception) -> None:
        if isinstance(error, WebSocketDisconnect):
            return
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
