"""Calls of local deployments: what responses are made of where no replica is called."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from contextvars import copy_context
from typing import Any, NoReturn, Protocol

from ray_async.exceptions import RayTaskError, TaskCancelledError
from ray_async.serve.context import ReplicaContext, RequestContext, current_request, local_context
from ray_async.serve.exceptions import RequestCancelledError
from ray_async.serve.handle.client import own_loop
from ray_async.serve.handle.response import DeploymentResponse, settle
from ray_async.serve.replica.runner import Runner

__all__ = ("Callee", "LocalCall")

_MAX_WAITING_ITEMS = 16  # items of a stream that wait for their reader


class Callee(Protocol):
    """What a call is made of: a local deployment."""

    @property
    def loop(self) -> asyncio.AbstractEventLoop:
        """The loop that runs its async methods."""
        ...

    @property
    def runner(self) -> Runner:
        """What runs its methods."""
        ...

    @property
    def context(self) -> ReplicaContext:
        """The context that they see."""
        ...


class LocalCall:
    """A call that runs in this process, on the loop of the deployment that is called.

    Args:
        callee: The deployment; in the place where responses look for a router's loop.
        request: The request's context that goes with it.
        method: The method's name.
        arguments: Positional and keyword arguments; responses among them are waited for first.
        stream: Whether the method is a generator.
    """

    def __init__(
        self,
        callee: Callee,
        request: RequestContext,
        method: str,
        arguments: tuple[tuple[Any, ...], dict[str, Any]],
        stream: bool,
    ) -> None:
        self.router = callee
        self.request = request
        self.future: asyncio.Future[Any] = callee.loop.create_future()
        self.cancelled = False
        self._method = method
        self._arguments = arguments
        self._stream = stream
        self._parent = current_request.get()
        self._task: asyncio.Task[None] | None = None
        self._items: asyncio.Queue[tuple[Any, BaseException | None]] = asyncio.Queue(_MAX_WAITING_ITEMS)
        if self._parent is not None:
            self._parent.begun(self)
        context = copy_context()
        callee.loop.call_soon_threadsafe(self._start, context=context)

    @property
    def ref(self) -> NoReturn:
        """There is none.

        Raises:
            RuntimeError: Always.
        """
        raise RuntimeError("Converting DeploymentResponses to ObjectRefs is not supported in local testing mode.")

    def _start(self) -> None:
        if not self.cancelled:
            self._task = self.router.loop.create_task(self._run())

    async def _run(self) -> None:
        request = self.request
        local_context.set(self.router.context)
        request.task = asyncio.current_task()
        try:
            args, kwargs = await self._settled()
            current_request.set(request)
            if self._stream:
                await self._run_stream(args, kwargs)
            else:
                self._finish(await self.router.runner.call(self._method, args, kwargs), None)
        except asyncio.CancelledError:
            request.cancel_calls()
            self._finish(None, RequestCancelledError(request.request_id))
        except Exception as error:  # the user's
            self._finish(None, self._as_remote(error))
        finally:
            request.task = None

    async def _settled(self) -> tuple[tuple[Any, ...], dict[str, Any]]:
        args, kwargs = self._arguments
        return (
            tuple([await value if isinstance(value, DeploymentResponse) else value for value in args]),
            {key: await value if isinstance(value, DeploymentResponse) else value for key, value in kwargs.items()},
        )

    async def _run_stream(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        items = self.router.runner.stream(self._method, args, kwargs)
        self._finish(self._read(), None)
        failure: BaseException | None = None
        try:
            async for item in items:
                await self._items.put((item, None))
        except Exception as error:  # the user's
            failure = self._as_remote(error)
        finally:
            await items.aclose()  # type: ignore[attr-defined]
        await self._items.put((None, failure or StopAsyncIteration()))

    async def _read(self) -> AsyncIterator[Any]:
        while not self.cancelled:
            item, end = await self._items.get()
            if isinstance(end, StopAsyncIteration):
                return
            if end is not None:
                raise end
            yield item
        raise RequestCancelledError(self.request.request_id)

    def _as_remote(self, error: Exception) -> BaseException:
        """The error, as it would come from another process."""
        if isinstance(error, RayTaskError | TaskCancelledError):
            return error
        name = f"{self.router.context.deployment}.{self._method}"
        failure = RayTaskError.from_exception(
            error, function_name=name, proctitle=f"ray::{name}", pid=os.getpid(), ip="127.0.0.1"
        )
        return failure.as_instanceof_cause()

    def _finish(self, value: Any, error: BaseException | None) -> None:
        if self._parent is not None and (error is not None or not self._stream):
            self._parent.ended(self)
        settle(self.future, value, error)

    def shielded(self) -> asyncio.Future[Any]:
        """A future that one may wait for beside others."""
        return asyncio.shield(self.future)

    def cancel(self) -> None:
        """Cancel the call, and what it has started; from any thread."""
        self.cancelled = True
        if own_loop() is self.router.loop:
            self._cancel()
        elif not self.router.loop.is_closed():
            self.router.loop.call_soon_threadsafe(self._cancel)

    def _cancel(self) -> None:
        if self._parent is not None:
            self._parent.ended(self)
        if self._task is not None:
            self._task.cancel()
        while not self._items.empty():
            self._items.get_nowait()
        self._items.put_nowait((None, RequestCancelledError(self.request.request_id)))
        self._finish(None, RequestCancelledError(self.request.request_id))
