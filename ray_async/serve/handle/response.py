"""Responses: what a call by handle gives, and the call behind it."""

from __future__ import annotations

import asyncio
import concurrent.futures
from collections.abc import AsyncIterator, Generator, Iterator
from contextvars import Context, copy_context
from typing import TYPE_CHECKING, Any

import ray_async as ray
from ray_async.exceptions import ActorUnavailableError, RayError, TaskCancelledError
from ray_async.serve.context import RequestContext, current_request
from ray_async.serve.deaths import is_death
from ray_async.serve.exceptions import RayServeException, RequestCancelledError
from ray_async.serve.handle.client import Client, own_loop
from ray_async.serve.handle.refusal import ACCEPTED, REFUSED
from ray_async.serve.request_router.pending_request import PendingRequest, RequestMetadata

if TYPE_CHECKING:
    from ray_async.serve.handle.router import Candidate, Router

__all__ = ("Call", "DeploymentResponse", "DeploymentResponseGenerator", "settle")

_MOST_LOSSES = 3  # replicas that one call may be lost with: it may be what kills them


class Call:
    """A call on its way; touched on its router's loop alone, but for `cancel`.

    Args:
        router: The router that sends it.
        client: The client, which the call keeps alive.
        request: The request's context that goes with it.
        method: The method's name.
        arguments: Positional and keyword arguments; responses among them are waited for first.
        stream: Whether the method is a generator.
        actor_method: The replica's method that takes the call, if it is none of the usual two.
    """

    __slots__ = (
        "_actor_method",
        "_arguments",
        "_cancels_before",
        "_candidate",
        "_client",
        "_context",
        "_method",
        "_parent",
        "_stream",
        "_task",
        "cancelled",
        "future",
        "losses",
        "ref",
        "request",
        "router",
    )

    def __init__(
        self,
        router: Router,
        client: Client,
        request: RequestContext,
        method: str,
        arguments: tuple[tuple[Any, ...], dict[str, Any]],
        stream: bool,
        actor_method: str = "stream",
    ) -> None:
        self.router = router
        self.request = request
        self.future: asyncio.Future[Any] = router.loop.create_future()
        self.ref: Any = None
        self.cancelled = False
        self._client = client
        self._method = method
        self._arguments = arguments
        self._stream = stream
        self._actor_method = actor_method
        self._candidate: Candidate | None = None
        self._parent = current_request.get()
        self._cancels_before = 0 if self._parent is None else self._parent.cancels
        self._context: Context | None = None
        self._task: asyncio.Task[None] | None = None
        self.losses = 0
        if self._parent is not None:
            self._parent.begun(self)

    @property
    def is_by_handle(self) -> bool:
        """Whether a handle has made the call, and not a request by HTTP or gRPC."""
        return self._actor_method == "stream"

    @property
    def replica(self) -> str:
        """The id of the replica that it was sent to; empty while it waits."""
        return "" if self._candidate is None else self._candidate.name.rpartition("#")[2]

    @property
    def unwanted(self) -> bool:
        """Whether nobody wants the call any more, though `cancel` may still be on its way: it must not be sent.

        A cancel of the asyncio task that waits for the response is seen here before that task gets it.
        """
        return self.cancelled or self.future.cancelled() or (self._parent is not None and self._parent.cancelled)

    @property
    def held(self) -> bool:
        """Whether a cancel has been asked for the request that made the call, and its handler has not answered it yet.

        The handler may end, and the call with it, or go on: as it does after the end of an `asyncio.timeout`.
        """
        return self._parent is not None and self._parent.cancels > self._cancels_before

    def pending(self) -> PendingRequest:
        """The call as a router of the user's sees it."""
        args, kwargs = self._arguments
        return PendingRequest(args, kwargs, self._metadata({}))

    def _metadata(self, headers: dict[str, str]) -> RequestMetadata:
        request = self.request
        return RequestMetadata(
            request.request_id,
            self._method,
            request.route,
            request.app_name,
            request.multiplexed_model_id,
            self._stream,
            headers,
        )

    def start(self) -> None:
        """Hand the call to its router, once the responses among its arguments are there."""
        args, kwargs = self._arguments
        for value in (*args, *kwargs.values()) if kwargs else args:
            if isinstance(value, DeploymentResponse):
                self._context = copy_context()
                self._task = self.router.loop.create_task(self._start_later())
                return
        self._submit()

    def _submit(self) -> None:
        if self.unwanted:
            self.drop()
        elif not self.future.done():
            self.router.submit(self)
            if self._candidate is None and self._context is None:
                self._context = copy_context()  # it is sent later, from another call's context

    async def _start_later(self) -> None:
        args, kwargs = self._arguments
        try:
            self._arguments = (
                tuple([await _settled(value) for value in args]),
                {key: await _settled(value) for key, value in kwargs.items()},
            )
        except (asyncio.CancelledError, Exception) as error:
            cancelled = _is_cancel(error)
            self.fail(RequestCancelledError(self.request.request_id) if cancelled else _without_frames(error, 3))
        else:
            self._submit()

    def send(self, candidate: Candidate) -> None:
        """Call the replica. What the call starts there belongs to the request that made the call."""
        self._candidate = candidate
        candidate.sent += 1
        if self.request.multiplexed_model_id:
            candidate.models.add(self.request.multiplexed_model_id)
        try:
            if self._context is not None:
                self._context.run(self._call_actor, candidate.actor)
            else:
                self._call_actor(candidate.actor)
        except Exception as error:  # an argument that cannot be pickled, or an actor that is gone
            self._let_go()
            self.fail(_without_frames(error, 2))

    def _call_actor(self, actor: Any) -> None:
        request = self.request
        about = (
            self._method,
            request.request_id,
            request.multiplexed_model_id,
            request.route,
            request.idempotent,
        )
        args, kwargs = self._arguments
        if self._stream:
            self.ref = getattr(actor, self._actor_method).remote(about, *args, **kwargs)
            self._task = self.router.loop.create_task(self._await_stream(self.ref.values()))
        else:
            self.ref = actor.call.remote(about, *args, **kwargs)
            self.ref.add_done_callback(self._arrived)

    def _arrived(self, ref: Any) -> None:
        self._let_go()
        if ref is not self.ref:
            return
        error = ref.exception()
        if error is not None:
            self._failed(error)
        else:
            value = ref.result()
            if value is REFUSED:
                self._refused()
            else:
                self._finish(value, None)
        self.router.pump()

    async def _await_stream(self, values: Any) -> None:
        try:
            first = await anext(values)
        except (asyncio.CancelledError, Exception) as error:
            self._let_go()
            self._failed(_without_frames(error, 1))
        else:
            self._let_go()
            if first is REFUSED:
                self._refused()
            else:
                self._finish(self._taken(first, values), None)
        self.router.pump()

    def _taken(self, first: Any, values: Any) -> Any:
        """What the future gives, once a replica has taken the call."""
        assert first is ACCEPTED
        return values

    def _let_go(self) -> None:
        if self._candidate is not None:
            self._candidate.sent -= 1

    def _refused(self) -> None:
        if self.unwanted:
            self.drop()
        else:
            self.router.resubmit(self)

    def _failed(self, error: BaseException) -> None:
        if not self.cancelled and self.may_be_sent_again(error):
            self._refused()
            return
        if self.cancelled or _is_cancel(error):
            error = RequestCancelledError(self.request.request_id)
        self._finish(None, error)

    def may_be_sent_again(self, error: BaseException) -> bool:
        """Whether another replica may run what a dead one had: it had not begun, or running it twice is no harm."""
        if not is_death(error) or isinstance(error, ActorUnavailableError):
            return False
        if self._candidate is not None:
            self._candidate.dead = True
        if not getattr(error, "call_began", True):
            return True
        self.losses += 1
        return self.losses < _MOST_LOSSES and (self.request.idempotent or self.router.idempotent)

    def drop(self) -> None:
        """End the call as cancelled; no replica has it."""
        self._finish(None, RequestCancelledError(self.request.request_id))

    def fail(self, error: BaseException) -> None:
        """End the call with an error."""
        self._finish(None, error)

    def _finish(self, value: Any, error: BaseException | None) -> None:
        if self._parent is not None and (error is not None or not self._stream):
            self._parent.ended(self)
        settle(self.future, value, error)

    def cancel(self) -> None:
        """Cancel the call, and what it has started; from any thread."""
        self.cancelled = True
        if own_loop() is self.router.loop:
            self._cancel()
        else:
            self.router.loop.call_soon_threadsafe(self._cancel)

    def _cancel(self) -> None:
        if self._parent is not None:
            self._parent.ended(self)
        self.router.leave(self)
        if self.ref is not None and (self._stream or not self.future.done() or self.future.cancelled()):
            ray.cancel(self.ref)
        elif self._task is not None:
            self._task.cancel()
        self._finish(None, RequestCancelledError(self.request.request_id))


def settle(future: asyncio.Future[Any], value: Any, error: BaseException | None) -> None:
    """End a call's future, unless it has ended."""
    if future.done():
        return
    if error is None:
        future.set_result(value)
    else:
        future.set_exception(error)
        future.exception()  # nobody needs to ask for it


def _without_frames(error: BaseException, count: int) -> BaseException:
    """The error without the outermost frames of its traceback: they refer to the call, which keeps the error."""
    trace = error.__traceback__
    for _ in range(count):
        trace = None if trace is None else trace.tb_next
    return error.with_traceback(trace)


def _is_cancel(error: BaseException) -> bool:
    return isinstance(error, asyncio.CancelledError | TaskCancelledError)


async def _settled(value: Any) -> Any:
    """What a response stands for as an argument: the reference to its value, which the replica reads by itself."""
    if not isinstance(value, DeploymentResponse):
        return value
    return await value._to_object_ref()


class _Response:
    # Methods that raise a call's error let go of what has the call before: the error's traceback has their frames, and
    # the call has the error. Else all of it, the callers' arguments too, would live until cycles are collected.

    def __init__(self, call: Call) -> None:
        self._call = call

    @property
    def request_id(self) -> str:
        """The request's id."""
        return self._call.request.request_id

    def cancel(self) -> None:
        """Cancel the request, if it is not done, and what it has started in turn.

        Reading the response then raises `RequestCancelledError`.
        """
        self._call.cancel()

    def cancelled(self) -> bool:
        """Tell whether `cancel` was called."""
        return self._call.cancelled

    async def _wait(self) -> Any:
        call = self._call
        future = call.future
        if own_loop() is not call.router.loop:
            future = asyncio.wrap_future(_mirror(call))
        elif future.cancelled():
            raise RequestCancelledError(self.request_id)
        task = asyncio.current_task(call.router.loop if future is call.future else None)
        assert task is not None
        cancels = task.cancelling()
        try:
            return await future
        except asyncio.CancelledError:
            call.cancel()
            if task.cancelling() == cancels:  # somebody else who waits for the call was cancelled
                raise RequestCancelledError(self.request_id) from None
            raise
        finally:
            del self, call, future, task

    def _block(self, timeout_s: float | None) -> Any:
        if own_loop() is not None:
            raise RuntimeError("a response cannot be read by a blocking call while an event loop runs: await it")
        try:
            return _mirror(self._call).result(timeout_s)
        except concurrent.futures.TimeoutError as error:
            if isinstance(error, RayError):
                raise
            raise TimeoutError(f"request {self.request_id} had no answer within {timeout_s} seconds") from None
        finally:
            del self

    def __reduce__(self) -> Any:
        raise RayServeException(
            "A response cannot be sent along inside of another value: pass it as an argument of its own, or await it."
        )


def _mirror(call: Call) -> concurrent.futures.Future[Any]:
    mirror: concurrent.futures.Future[Any] = concurrent.futures.Future()

    def copy(future: asyncio.Future[Any]) -> None:
        if mirror.set_running_or_notify_cancel():
            cancelled = future.cancelled()
            error = RequestCancelledError(call.request.request_id) if cancelled else future.exception()
            if error is not None:
                mirror.set_exception(error)
            else:
                mirror.set_result(future.result())

    call.router.loop.call_soon_threadsafe(call.future.add_done_callback, copy)
    return mirror


class DeploymentResponse(_Response):
    """The answer to a call by handle: awaited, or read by `result` where no loop runs.

    As an argument of another call it stands for its value, without being waited for by the caller. When the asyncio
    task that awaits it is cancelled, so is the call.
    """

    def __await__(self) -> Generator[Any, None, Any]:
        return self._wait().__await__()

    def result(self, *, timeout_s: float | None = None) -> Any:
        """Wait for the answer in a thread.

        Args:
            timeout_s: Seconds to wait; None: any time.

        Raises:
            RuntimeError: A loop runs in this thread.
            TimeoutError: No answer in time.
            RequestCancelledError: The request was cancelled.
            BackPressureError: Too many requests wait.
        """
        try:
            return self._block(timeout_s)
        finally:
            del self

    async def _to_object_ref(self) -> Any:
        try:
            await self._wait()
            return self._call.ref
        finally:
            del self


class DeploymentResponseGenerator(_Response):
    """The answer to a streaming call by handle: iterated over, by `async for` or, where no loop runs, by `for`."""

    _values: Any = None

    def __aiter__(self) -> AsyncIterator[Any]:
        return self

    async def __anext__(self) -> Any:
        try:
            if self._values is None:
                self._values = await self._wait()
            if own_loop() is self._call.router.loop:
                return await anext(self._values)
            return await asyncio.wrap_future(
                asyncio.run_coroutine_threadsafe(_next(self._values), self._call.router.loop)
            )
        except TaskCancelledError:
            raise RequestCancelledError(self.request_id) from None
        except asyncio.CancelledError:
            self.cancel()
            raise
        finally:
            del self

    def __iter__(self) -> Iterator[Any]:
        return self

    def __next__(self) -> Any:
        try:
            if self._values is None:
                self._values = self._block(None)
            return asyncio.run_coroutine_threadsafe(_next(self._values), self._call.router.loop).result()
        except StopAsyncIteration:
            raise StopIteration from None
        except TaskCancelledError:
            raise RequestCancelledError(self.request_id) from None
        finally:
            del self

    async def aclose(self) -> None:
        """End the stream: the replica closes the generator."""
        self.cancel()


async def _next(values: Any) -> Any:
    return await anext(values)
