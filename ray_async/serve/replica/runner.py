"""The runner: calls the user's methods, async ones on the loop, sync ones in threads."""

from __future__ import annotations

import asyncio
import inspect
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextvars import copy_context
from functools import partial
from typing import Any

from ray_async.exceptions import TaskCancelledError
from ray_async.serve.context import current_request
from ray_async.serve.exceptions import RayServeException
from ray_async.serve.replica.threads import Threads

__all__ = ("VALUES", "Runner", "maybe_async")

logger = logging.getLogger("ray_async.serve")

# Types of what is most often returned, and is neither awaited nor iterated over.
VALUES = frozenset({str, bytes, dict, list, tuple, int, float, bool, type(None)})


class Runner:
    """Calls what a deployment holds.

    Args:
        target: The user's object, or function.
        limit: The most sync calls at a time.
    """

    def __init__(self, target: Any, limit: int) -> None:
        self.target = target
        self._threads = Threads(limit)
        self._kinds: dict[str, tuple[Callable[..., Any], bool, bool]] = {}

    def resize(self, limit: int) -> None:
        """Allow another number of sync calls at a time; those that run go on."""
        old, self._threads = self._threads, Threads(limit)
        old.close()

    def close(self) -> None:
        """End the threads."""
        self._threads.close()

    def has(self, name: str) -> bool:
        """Tell whether there is a method of that name."""
        if inspect.isfunction(self.target):
            return name == "__call__"
        # Each class has a `__call__` by its own class, which makes objects: only objects tell whether they have one.
        return hasattr(type(self.target), name) and callable(getattr(self.target, name, None))

    def takes(self, name: str, parameter: str) -> bool:
        """Tell whether a method has a parameter of that name."""
        return parameter in inspect.signature(self._method(name)[0]).parameters

    def takes_any(self, name: str) -> bool:
        """Tell whether a method has a parameter; one that is not there, or whose signature cannot be read, may have."""
        try:
            return bool(inspect.signature(self._method(name)[0]).parameters)
        except (RayServeException, TypeError, ValueError):
            return True

    def _method(self, name: str) -> tuple[Callable[..., Any], bool, bool]:
        """The method, whether it is async, and whether it is a generator."""
        found = self._kinds.get(name)
        if found is None:
            found = self._kinds[name] = self._look_up(name)
        return found

    def _look_up(self, name: str) -> tuple[Callable[..., Any], bool, bool]:
        if inspect.isfunction(self.target):
            method = self.target if name == "__call__" else None
        else:
            method = getattr(self.target, name, None) if hasattr(type(self.target), name) else None
        if not callable(method):
            known = [key for key, value in inspect.getmembers(type(self.target), callable) if not key.startswith("_")]
            raise RayServeException(f"Tried to call a method {name!r} that does not exist. Available methods: {known}.")
        generator = inspect.isgeneratorfunction(method) or inspect.isasyncgenfunction(method)
        return method, inspect.iscoroutinefunction(method) or inspect.isasyncgenfunction(method), generator

    async def call(self, name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Call a method that gives one value.

        Raises:
            TypeError: It is a generator.
        """
        method, is_async, is_generator = self._method(name)
        if is_generator:
            raise TypeError(
                f"Method {name!r} returned a generator. You must use `handle.options(stream=True)` to call generators "
                "on a deployment."
            )
        result = await (method(*args, **kwargs) if is_async else self._in_thread(method, args, kwargs))
        if type(result) in VALUES:
            return result
        if inspect.isawaitable(result):
            result = await result
        if inspect.isgenerator(result) or inspect.isasyncgen(result):
            raise TypeError(
                f"Method {name!r} returned a generator. You must use `handle.options(stream=True)` to call generators "
                "on a deployment."
            )
        return result

    async def stream(self, name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> AsyncIterator[Any]:
        """Call a method that is a generator, or returns one, and give its items.

        Raises:
            TypeError: It gives one value.
        """
        result = await self.open(name, args, kwargs)
        if not isinstance(result, AsyncIterator | Iterator):
            raise TypeError(
                f"Method {name!r} was called by a handle with `stream=True`, but it did not return a generator."
            )
        async for item in self.items(result):
            yield item

    async def open(self, name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Call a method and give what it returns; a generator not begun yet."""
        result = await self.begin(name, args, kwargs)
        return await result if type(result) not in VALUES and inspect.isawaitable(result) else result

    def begin(self, name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Awaitable[Any]:
        """Call a method; what it returns may have to be awaited once more, as that of a sync one."""
        method, is_async, is_generator = self._kinds.get(name) or self._method(name)
        if is_generator:
            return _given(method(*args, **kwargs))
        return method(*args, **kwargs) if is_async else self._in_thread(method, args, kwargs)

    async def items(self, source: Any) -> AsyncIterator[Any]:
        """The items of a generator, which is closed at the end; a sync one runs in threads."""
        if isinstance(source, AsyncIterator):
            try:
                async for item in source:
                    yield item
            finally:
                if inspect.isasyncgen(source):
                    await source.aclose()
            return
        end = object()
        try:
            while (item := await self._in_thread(next, (source, end), {})) is not end:
                yield item
        finally:
            if inspect.isgenerator(source):
                await self._in_thread(source.close, (), {})

    async def _in_thread(self, function: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Run in a thread. A cancel is passed on only when the thread is done: until then it uses the replica."""
        job = self._threads.submit(partial(copy_context().run, function, *args, **kwargs))
        cancelled = None
        while not job.done:
            try:
                await job.wait()
            except asyncio.CancelledError as error:
                cancelled = error
                job.withdraw()
                _end_calls()
        if cancelled is not None:
            _tell_late(job.error)
            raise cancelled
        return job.result()


async def _given(value: Any) -> Any:
    return value


def _tell_late(error: BaseException | None) -> None:
    """Log what a thread has raised after its request was over, but for what a cancel of its calls has brought about."""
    if error is not None and not isinstance(error, TaskCancelledError):
        request = current_request.get()
        name = "" if request is None else request.request_id
        logger.error("Request %s failed after its end.", name, exc_info=error)


def _end_calls() -> None:
    """Cancel what the running request has called from its thread, which hears of the cancel in no other way."""
    request = current_request.get()
    if request is not None:
        request.cancelled = True
        request.cancel_calls()


async def maybe_async(function: Any, *args: Any, **kwargs: Any) -> Any:
    """Call the user's function: a sync one in a thread, where it holds up no loop and may wait for responses."""
    if inspect.iscoroutinefunction(function):
        return await function(*args, **kwargs)
    result = await asyncio.to_thread(function, *args, **kwargs)
    return await result if inspect.isawaitable(result) else result
