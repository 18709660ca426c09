"""Incoming requests: they came to another process, and run here."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from time import monotonic
from typing import Any

from ray_async.serve.context import RequestContext, current_request
from ray_async.serve.ingress.body import RestOfBody
from ray_async.serve.ingress.handover import DEADLINE
from ray_async.serve.ingress.left_handlers import cancel_handler
from ray_async.serve.ingress.local import Run
from ray_async.serve.ingress.reply import IDEMPOTENT, ROUTE, Reply, RequestTimeout, status_of
from ray_async.serve.telemetry.telemetry import Telemetry

__all__ = ("Incoming",)

_LIST_BYTES = 64 << 10  # of a list of messages: with them, lists that are not read would hold a whole response

Fail = Callable[[dict[str, Any], Reply, RequestContext, Exception], Awaitable[None]]


def size_of(message: dict[str, Any] | None) -> int:
    """Bytes of a response's body in a message."""
    return 0 if message is None else len(message.get("body", b""))


class Incoming:
    """Runs the requests that other processes hand over.

    Args:
        app: The application of the replica that is here.
        run: Runs a request.
        fail: Answers a request that has failed.
        telemetry: Whom to tell of requests.
    """

    def __init__(self, app: str, run: Run, fail: Fail, telemetry: Telemetry) -> None:
        self._app = app
        self._run = run
        self._fail = fail
        self._telemetry = telemetry

    async def run(
        self, request_id: str, route: str, scope: dict[str, Any], body: bytes, rest: RestOfBody | None
    ) -> AsyncIterator[list[dict[str, Any]]]:
        """Run a request that came to another replica.

        Args:
            request_id: The request's id.
            route: The prefix by which it came.
            scope: Its ASGI scope.
            body: Its body, or the beginning of it.
            rest: What is left of its body; None: nothing.

        Yields:
            The ASGI messages of the response: those that are there at a time.
        """
        request = RequestContext(request_id, route, self._app)
        model_id = dict(scope["headers"]).get(b"serve_multiplexed_model_id", b"")
        request.multiplexed_model_id = model_id.decode("latin-1")
        if scope["method"] in IDEMPOTENT:
            request.idempotent = True
        request.deadline = scope.pop(DEADLINE, None)
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

        async def answer() -> None:
            reply = Reply(put if self._telemetry.looks else messages.put, request_id)
            request.task = asyncio.current_task()
            observed = self._telemetry.observe_here(scope, reply, request.route, request.task)
            try:
                await self._run(scope, receive, reply)
            except asyncio.CancelledError:
                # Whoever has the connection has cancelled it: for its time is over, or because its client has left.
                if request.deadline is not None and monotonic() >= request.deadline:
                    late = RequestTimeout()
                    reply.failure, _ = status_of(late)
                    if observed is not None:
                        observed.failed(late)
                raise
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

        task = asyncio.get_running_loop().create_task(answer())
        # Wakes who waits for a message; who has some left sees the task's end after them.
        task.add_done_callback(lambda _: None if messages.full() else messages.put_nowait(None))
        try:
            while not (messages.empty() and task.done()):
                found = [await messages.get()]
                size = size_of(found[0])
                while size < _LIST_BYTES and not messages.empty():
                    found.append(messages.get_nowait())
                    size += size_of(found[-1])
                if sent := [message for message in found if message is not None]:
                    yield sent
        finally:
            failure = None
            if not task.done():
                request.cancel_calls()
                cancel_handler(task, request_id)
                await asyncio.wait([task])
            elif not task.cancelled():
                failure = task.exception()
        try:
            if failure is not None:
                raise failure
        finally:
            del failure, task  # the error's traceback has this frame
