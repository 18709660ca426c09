"""Calls by gRPC: each finds its application, runs on a replica, and ends with a status."""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import AsyncGenerator, AsyncIterator, Iterator
from contextlib import aclosing, contextmanager, nullcontext
from typing import Any

import grpc

import ray_async as ray
from ray_async.serve.context import RequestContext, new_request_id
from ray_async.serve.frozen_dataclass import dataclass
from ray_async.serve.grpc_ingress.services import Services
from ray_async.serve.grpc_ingress.values import CallOutcome, Metadata, RayServegRPCContext, gRPCInputStream
from ray_async.serve.handle.client import Client
from ray_async.serve.handle.response import Call

__all__ = ("GrpcCalls",)

_OWN = "/ray.serve.RayServeAPIService/"


@dataclass(frozen=True)
class Method:
    """A method of a service.

    Args:
        name: Its name, which is the deployment's method's too.
        takes_stream: Whether the client sends several messages.
        gives_stream: Whether it is answered by several.
    """

    name: str
    takes_stream: bool
    gives_stream: bool


class GrpcCalls(grpc.GenericRpcHandler):  # type: ignore[misc]  # grpc has no types
    """Answers the calls of all services.

    Args:
        services: The services.
        client: The process's client.
        timeout_s: Seconds that a call may take, if its own deadline is not sooner; None: any time.
    """

    def __init__(self, services: Services, client: Client, timeout_s: float | None) -> None:
        self._services = services
        self._client = client
        self._timeout = timeout_s
        self._numbers = itertools.count()
        self._inputs: dict[int, AsyncIterator[Any]] = {}

    def service(self, handler_call_details: Any) -> grpc.RpcMethodHandler | None:
        """What answers a method; None: no service has it."""
        method: str = handler_call_details.method
        if method.startswith(_OWN):
            return self._own(method.removeprefix(_OWN))
        found = self._services.find(handler_call_details)
        if found is None:
            return None
        kind = Method(method.rpartition("/")[2], found.request_streaming, found.response_streaming)

        async def stream(received: Any, context: Any) -> AsyncIterator[Any]:
            async with aclosing(self._answer(kind, received, context)) as messages:
                async for message in messages:
                    yield message

        async def unary(received: Any, context: Any) -> Any:
            async with aclosing(self._answer(kind, received, context)) as messages:
                return [message async for message in messages][-1]

        make = {
            (False, False): grpc.unary_unary_rpc_method_handler,
            (False, True): grpc.unary_stream_rpc_method_handler,
            (True, False): grpc.stream_unary_rpc_method_handler,
            (True, True): grpc.stream_stream_rpc_method_handler,
        }[found.request_streaming, found.response_streaming]
        behavior = stream if found.response_streaming else unary
        return make(behavior, found.request_deserializer, found.response_serializer)

    def _own(self, method: str) -> grpc.RpcMethodHandler | None:
        """Methods that Serve has itself: answers of one field of text, or several."""

        async def healthz(request: bytes, context: Any) -> bytes:
            return _text_field("success")

        async def list_applications(request: bytes, context: Any) -> bytes:
            return b"".join(_text_field(name) for name in self._applications())

        found = {"Healthz": healthz, "ListApplications": list_applications}.get(method)
        return None if found is None else grpc.unary_unary_rpc_method_handler(found)

    def _applications(self) -> dict[str, Any]:
        applications: dict[str, Any] = self._client.table().get("applications", {})
        return applications

    async def receive(self, number: int) -> tuple[Any, ...]:
        """The next message of a stream, as the only item; nothing at its end, or when its call is over."""
        messages = self._inputs.get(number)
        if messages is None:
            return ()
        try:
            return (await anext(messages),)
        except StopAsyncIteration:
            return ()

    @contextmanager
    def _lent(self, messages: Any) -> Iterator[gRPCInputStream]:
        number = next(self._numbers)
        self._inputs[number] = aiter(messages)
        try:
            yield gRPCInputStream(ray.get_runtime_context().current_actor, number)
        finally:
            del self._inputs[number]

    async def _answer(self, method: Method, received: Any, context: Any) -> AsyncGenerator[Any]:
        """Call a replica: gives its messages, then the call its status."""
        metadata: Metadata = tuple((key, value) for key, value in context.invocation_metadata() or ())
        given = {key: str(value) for key, value in metadata}
        app = await self._application(given.get("application", ""), context)
        request = RequestContext(
            given.get("request_id", "") or new_request_id(),
            app_name=app,
            multiplexed_model_id=given.get("multiplexed_model_id", ""),
        )
        seen = RayServegRPCContext(metadata, context.peer())
        outcome, began = CallOutcome(seen), time.perf_counter()
        try:
            async with asyncio.timeout(self._timeout):
                with self._lent(received) if method.takes_stream else nullcontext(received) as argument:
                    async with aclosing(self._items(request, method, argument, seen)) as items:
                        async for item in items:
                            if isinstance(item, CallOutcome):
                                outcome = item
                            else:
                                yield item
        except TimeoutError:
            outcome = CallOutcome(seen, "DEADLINE_EXCEEDED", f"the call took more than {self._timeout} seconds")
        except Exception as error:  # the replica died, say, or all are busy
            outcome = CallOutcome.of_error(seen, error)
        except BaseException:  # its client has left
            self._count(app, method.name, "CANCELLED", (time.perf_counter() - began) * 1000)
            raise
        self._count(app, method.name, outcome.name, (time.perf_counter() - began) * 1000)
        await _end(context, request, outcome)

    def _count(self, app: str, method: str, status: str, latency_ms: float) -> None:
        counts, labels = self._client.counts, (app, method, status)
        if counts is None:
            return
        counts.count("serve_num_grpc_requests", labels)
        if status != "OK":
            counts.count("serve_num_grpc_error_requests", (*labels, status))
        counts.observe("serve_grpc_request_latency_ms", labels, latency_ms)

    async def _items(
        self, request: RequestContext, method: Method, argument: Any, seen: RayServegRPCContext
    ) -> AsyncGenerator[Any]:
        """What the replica gives: messages, and the outcome at last."""
        ingress = self._applications()[request.app_name]["ingress"]
        router = self._client.router(request.app_name, ingress, asyncio.get_running_loop())
        arguments = (argument, seen, method.gives_stream)
        call = Call(router, self._client, request, method.name, arguments, {}, stream=True, actor_method="grpc")
        call.start()
        try:
            items = await call.future
            async for item in items:
                yield item
        except BaseException:
            call.cancel()
            raise

    async def _application(self, named: str, context: Any) -> str:
        """The application that a call is for: the one that it names, or the only one."""
        there = self._applications()
        if named in there:
            return named
        if not named and len(there) == 1:
            return next(iter(there))
        text = f"there is no application {named!r}" if named else "the metadata `application` must say for which one"
        await context.abort(grpc.StatusCode.NOT_FOUND, f"{text}; there are: {', '.join(there) or 'none'}.")
        raise AssertionError


async def _end(context: Any, request: RequestContext, outcome: CallOutcome) -> None:
    """Give a call its status."""
    seen = outcome.context
    context.set_trailing_metadata((("request_id", request.request_id), *seen.trailing_metadata()))
    if outcome.status:
        await context.abort(seen.code() or grpc.StatusCode[outcome.status], seen.details() or outcome.text)
    if seen.code() is not None:
        context.set_code(seen.code())
    context.set_details(seen.details())


def _text_field(text: str) -> bytes:
    """The first field of a message, as protocol buffers encode it."""
    data = text.encode()
    length, size = bytearray(), len(data)
    while size > 0x7F:
        length.append(size & 0x7F | 0x80)
        size >>= 7
    return b"\x0a" + bytes([*length, size]) + data
