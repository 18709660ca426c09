"""Requests over HTTP: each finds its application, runs here or elsewhere, and is answered."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

from starlette.exceptions import HTTPException

from ray_async.serve.context import RequestContext, current_replica, current_request, new_request_id
from ray_async.serve.exceptions import BackPressureError, DeploymentUnavailableError, RequestCancelledError
from ray_async.serve.handle.client import Client
from ray_async.serve.handle.response import Call
from ray_async.serve.ingress.plain_app import MalformedBody, PlainApp
from ray_async.serve.ingress.routes import RouteTable
from ray_async.serve.multiplexing.decorator import is_multiplexed
from ray_async.serve.replica.runner import Runner
from ray_async.serve.replica.slots import Slots

__all__ = ("Requests",)

logger = logging.getLogger("ray_async.serve")
Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]


class Requests:
    """The ASGI application of a replica's server: takes all requests of its connections.

    Args:
        own: The replica's application and deployment.
        client: The process's client.
        slots: The replica's slots.
        runner: What runs the user's methods.
        asgi: The user's ASGI application; None: requests go to ``__call__``.
        http: The HTTP options.
    """

    def __init__(
        self,
        own: tuple[str, str],
        client: Client,
        slots: Slots,
        runner: Runner,
        asgi: Any,
        http: dict[str, Any],
    ) -> None:
        self.leaving = False  # whether the answer to each request is the last one on its connection
        self._own = own
        self._multiplexes = is_multiplexed(type(runner.target))
        self._client = client
        self._slots = slots
        self._asgi = PlainApp(runner) if asgi is None else asgi
        self._lifespan = Lifespan(asgi) if asgi is not None else None
        self._timeout = http["request_timeout_s"]
        self._routes = RouteTable(client)

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
        path = scope["path"]
        if path.startswith("/-/") and scope["type"] == "http" and path in ("/-/healthz", "/-/routes"):
            await _answer(send, 200, *self._routes.built_in(path))
            return
        found = self._routes.match(path)
        if found is None:
            hint = f"Path '{path}' not found. Ping http://.../-/routes for available routes."
            await _answer(send, 404, hint.encode(), b"text/plain; charset=utf-8")
            return
        prefix, app, deployment = found
        headers = dict(scope["headers"])
        request_id = headers.get(b"x-request-id", b"").decode("latin-1") or new_request_id()
        model_id = headers.get(b"serve_multiplexed_model_id", b"").decode("latin-1")
        request = RequestContext(request_id, prefix, app, model_id, task=asyncio.current_task())
        current_request.set(request)
        if prefix != "/":
            scope["root_path"] = scope.get("root_path", "") + prefix
        reply = Reply(send, request_id)
        await self._guarded(scope, receive, reply, request, (app, deployment))

    async def _guarded(
        self, scope: dict[str, Any], receive: Receive, reply: Reply, request: RequestContext, target: tuple[str, str]
    ) -> None:
        try:
            async with asyncio.timeout(self._timeout):
                if scope["type"] == "websocket":
                    await self._websocket(scope, receive, reply)
                elif self._slots.free and target == self._own and self._is_best_for(request.multiplexed_model_id):
                    with self._slots:
                        await self._asgi(scope, receive, reply.send)
                else:
                    await self._hand_over(scope, receive, reply, request, target)
        except asyncio.CancelledError:
            request.cancel_calls()
            raise
        except Exception as error:
            request.cancel_calls()
            await self._fail(reply, request, error)
        finally:
            request.task = None  # its context refers to the request

    def _is_best_for(self, model_id: str) -> bool:
        """Whether no other replica is better suited to a request for a model."""
        holdings = current_replica.holdings
        if not model_id or not self._multiplexes or holdings is None or model_id in holdings:
            return True
        chosen = self._client.router(*self._own, asyncio.get_running_loop()).choose(model_id)
        return chosen is None or chosen.slot == self._slots.place

    async def _websocket(self, scope: dict[str, Any], receive: Receive, reply: Reply) -> None:
        # A websocket stays where its connection is.
        if not self._slots.free or isinstance(self._asgi, PlainApp):
            await reply.send({"type": "websocket.close", "code": 1013 if not self._slots.free else 1008})
            return
        with self._slots:
            await self._asgi(scope, receive, reply.send)

    async def _hand_over(
        self, scope: dict[str, Any], receive: Receive, reply: Reply, request: RequestContext, target: tuple[str, str]
    ) -> None:
        body = await _read(receive)
        sent = {key: value for key, value in scope.items() if key not in ("app", "state", "extensions", "asgi")}
        router = self._client.router(*target, asyncio.get_running_loop())
        call = Call(router, self._client, request, "http", ((sent, body), {}), stream=True, actor_method="http")
        call.start()
        try:
            messages = await call.future
            async for message in messages:
                await reply.send(message)
        except BaseException:
            call.cancel()
            raise

    async def handed_over(self, request_id: str, scope: dict[str, Any], body: bytes) -> AsyncIterator[dict[str, Any]]:
        """Run a request that came to another replica.

        Args:
            request_id: The request's id.
            scope: Its ASGI scope.
            body: Its whole body.

        Yields:
            The ASGI messages of the response.
        """
        request = RequestContext(request_id, scope.get("root_path", ""), self._own[0])
        model_id = dict(scope["headers"]).get(b"serve_multiplexed_model_id", b"")
        request.multiplexed_model_id = model_id.decode("latin-1")
        current_request.set(request)
        scope["asgi"] = {"version": "3.0", "spec_version": "2.3"}
        messages: asyncio.Queue[dict[str, Any] | None] = asyncio.Queue(maxsize=16)
        pending = [{"type": "http.request", "body": body, "more_body": False}]

        async def receive() -> dict[str, Any]:
            if pending:
                return pending.pop()
            await asyncio.get_running_loop().create_future()  # whoever has the connection cancels this request
            raise AssertionError

        async def run() -> None:
            reply = Reply(messages.put, request_id)
            request.task = asyncio.current_task()
            try:
                await self._asgi(scope, receive, reply.send)
            except Exception as error:
                if reply.started:
                    raise
                await self._fail(reply, request, error)
            finally:
                request.task = None
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

    async def _fail(self, reply: Reply, request: RequestContext, error: Exception) -> None:
        status, text = _status(error)
        if status >= 500 and status != 503:
            logger.error("Request %s failed.", request.request_id, exc_info=error)
        if reply.started:
            raise error  # the connection ends without the end of its body
        headers = getattr(error, "headers", None) or {}
        await _answer(reply.send, status, text.encode(), b"text/plain; charset=utf-8", headers)


class Reply:
    """The way back to the client; adds the request's id to the headers.

    Args:
        send: Sends a message.
        request_id: The request's id.
    """

    __slots__ = ("_id", "_send", "started")

    def __init__(self, send: Send, request_id: str) -> None:
        self.started = False
        self._send = send
        self._id = request_id

    async def send(self, message: dict[str, Any]) -> None:
        """Send a message."""
        if message["type"] == "http.response.start":
            self.started = True
            headers = [item for item in message.get("headers", ()) if item[0] != b"x-request-id"]
            message = {**message, "headers": [*headers, (b"x-request-id", self._id.encode("latin-1"))]}
        await self._send(message)


class Lifespan:
    """The lifespan protocol of a user's ASGI application.

    Args:
        app: The application.
    """

    def __init__(self, app: Any) -> None:
        self._app = app
        self._to_app: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self._from_app: asyncio.Queue[dict[str, Any] | None] = asyncio.Queue()
        self._task: asyncio.Task[None] | None = None
        self._error: Exception | None = None

    async def startup(self) -> None:
        """Start the application; one that has no lifespan just goes on.

        Raises:
            RuntimeError: The application could not start.
        """
        self._task = asyncio.get_running_loop().create_task(self._run())
        await self._tell("startup")

    async def shutdown(self) -> None:
        """Let the application clean up."""
        if self._task is not None and not self._task.done():
            await self._tell("shutdown")
            await self._task

    async def _run(self) -> None:
        scope = {"type": "lifespan", "asgi": {"version": "3.0", "spec_version": "2.0"}, "state": {}}
        try:
            await self._app(scope, self._to_app.get, self._from_app.put)
        except Exception as error:  # the application's own; many raise where they know no lifespan
            self._error = error
        finally:
            await self._from_app.put(None)

    async def _tell(self, what: str) -> None:
        await self._to_app.put({"type": f"lifespan.{what}"})
        message = await self._from_app.get()
        if message is not None and message["type"].endswith("failed"):
            raise RuntimeError(f"the application's {what} failed: {message.get('message', '')}") from self._error


def _status(error: Exception) -> tuple[int, str]:
    if isinstance(error, HTTPException):
        return error.status_code, str(error.detail)
    if isinstance(error, MalformedBody):
        return 400, f"The body is not valid JSON: {error}"
    if isinstance(error, BackPressureError | DeploymentUnavailableError):
        return 503, str(error)
    if isinstance(error, RequestCancelledError):
        return 503, "The request was cancelled."
    if isinstance(error, TimeoutError):
        return 408, "The request took too long."
    return 500, "Internal Server Error"


async def _answer(
    send: Send, status: int, body: bytes, content_type: bytes, headers: dict[str, str] | None = None
) -> None:
    listed = [(b"content-type", content_type), (b"content-length", str(len(body)).encode())]
    listed += [(key.lower().encode("latin-1"), value.encode("latin-1")) for key, value in (headers or {}).items()]
    await send({"type": "http.response.start", "status": status, "headers": listed})
    await send({"type": "http.response.body", "body": body})


async def _read(receive: Receive) -> bytes:
    parts = []
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise asyncio.CancelledError
        parts.append(message.get("body", b""))
        if not message.get("more_body"):
            return b"".join(parts)
