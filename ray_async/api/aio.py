"""Waiting and cancelling in coroutines: what `await ref` alone does not say.

`ready`, `wait` and `as_completed` wait for references without reading what they refer to. `cancelling` and
`cancel_scope` let a cancellation of the awaiting asyncio task travel to the remote work; without them it does not.
"""

from __future__ import annotations

import asyncio
import contextlib
import inspect
from collections.abc import AsyncIterator, Callable, Coroutine, Generator, Sequence
from types import TracebackType
from typing import Any, TypeVar

from ray_async.api.object_ref import ObjectRef, ObjectRefGenerator
from ray_async.engine.current import get_session

__all__ = ("CancelScope", "as_completed", "cancel_scope", "cancelling", "ready", "wait")

R = TypeVar("R")


async def ready(ref: ObjectRef[R]) -> ObjectRef[R]:
    """Wait until an object exists or its task has failed; the value is neither moved nor decoded.

    Args:
        ref: A reference, or a generator of references (ready when its next item is).

    Returns:
        The same reference; to await it now takes no time, and raises what the task raised.

    Raises:
        TypeError: Not a reference.
        NodeDiedError: The node is gone.

    Example:
        >>> large = await ray.ready(load.remote())
    """
    await wait([ref])
    return ref


async def wait(
    refs: Sequence[Any], *, num_returns: int = 1, timeout: float | None = None
) -> tuple[list[Any], list[Any]]:
    """Wait until some references are ready, as `ray_async.wait` does, without blocking the event loop.

    Args:
        refs: References, or generators of references (ready when their next item is), each once.
        num_returns: How many to wait for.
        timeout: Seconds to wait; None waits for ever, 0 looks once.

    Returns:
        At most ``num_returns`` that are ready, and the others, each in the order given.

    Raises:
        TypeError: Not a list of references.
        ValueError: A duplicate, a negative timeout, or ``num_returns`` out of range.
        NodeDiedError: The node is gone.

    Example:
        >>> ready, rest = await ray.aio.wait([f.remote(), g.remote()], timeout=1.0)
    """
    refs = _checked(refs)
    if timeout is not None and timeout < 0:
        raise ValueError(f"timeout must be None, zero or positive, but is {timeout} seconds")
    if not refs:
        return [], []
    if not 0 < num_returns <= len(refs):
        raise ValueError(f"num_returns must be from 1 to {len(refs)}, the number of references, but is {num_returns}")
    arrivals = get_session().arrivals(refs)
    try:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(timeout):
                await arrivals.until(num_returns)
        taken = {arrivals.take() for _ in range(min(num_returns, arrivals.count))}
    finally:
        arrivals.close()
    return [r for i, r in enumerate(refs) if i in taken], [r for i, r in enumerate(refs) if i not in taken]


async def as_completed(refs: Sequence[Any], *, timeout: float | None = None) -> AsyncIterator[Any]:
    """Iterate over references in the order in which they become ready.

    Args:
        refs: References, each once.
        timeout: Seconds that all of it may take; None: any time.

    Yields:
        Each reference; awaiting it takes no time, and raises what its task raised.

    Raises:
        TimeoutError: The time is up.
        TypeError, ValueError: as `wait`.

    Example:
        >>> async for ref in ray.aio.as_completed([f.remote(i) for i in range(9)]):
        ...     print(await ref)
    """
    refs = _checked(refs)
    arrivals = get_session().arrivals(refs)
    deadline = None if timeout is None else asyncio.get_running_loop().time() + timeout
    try:
        for _ in range(len(refs)):
            async with asyncio.timeout_at(deadline):
                await arrivals.until(1)
            yield refs[arrivals.take()]
    finally:
        arrivals.close()


def _checked(refs: Sequence[Any]) -> list[Any]:
    found = list(refs)
    for ref in found:
        if not isinstance(ref, (ObjectRef, ObjectRefGenerator)):
            raise TypeError(f"expected references or generators of references, got {type(ref)}")
    if len(set(found)) != len(found):
        raise ValueError("each reference must be there once, but some are there twice")
    return found


def cancelling(ref: ObjectRef[R], *, force: bool = False, recursive: bool = True) -> Coroutine[Any, Any, R]:
    """Await a reference; when the awaiting is cancelled, so is the remote task, and what it started.

    Also when an asyncio task that was to await it is cancelled before its first step.

    Args:
        ref: A reference that a task or an actor's call returns.
        force: Kill the worker. Not for calls of actors.
        recursive: Cancel the tasks that it started too.

    Returns:
        A coroutine for the value, also for `asyncio.create_task` and `asyncio.TaskGroup.create_task`.

    Raises:
        TypeError: Not a reference.
        ValueError: ``force`` for a call of an actor.
        TaskCancelledError: Someone else has cancelled the task.

    Example:
        >>> await asyncio.wait_for(ray.cancelling(slow.remote()), timeout=1.0)
    """
    if not isinstance(ref, ObjectRef):
        raise TypeError(f"cancelling() expects a reference, got {type(ref)}")
    return _Cancelling(ref, force, recursive)


class _Cancelling(Coroutine[Any, Any, R]):
    """What `cancelling` returns. A cancel travels before the first step too, when a coroutine's own code never runs."""

    def __init__(self, ref: ObjectRef[R], force: bool, recursive: bool) -> None:
        self._cancel: Callable[[], None] = lambda: get_session().cancel(ref, force, recursive)
        self._coroutine = self._await(ref)

    async def _await(self, ref: ObjectRef[R]) -> R:
        try:
            return await ref
        except asyncio.CancelledError:
            self._cancel()
            raise

    def __await__(self) -> Generator[Any, Any, R]:
        return self._coroutine.__await__()

    def send(self, value: Any) -> Any:
        return self._coroutine.send(value)

    def throw(self, *error: Any) -> Any:
        before = inspect.getcoroutinestate(self._coroutine) == inspect.CORO_CREATED
        if before and isinstance(error[-1] or error[0], asyncio.CancelledError):
            self._cancel()
        return self._coroutine.throw(*error)

    def close(self) -> None:
        self._coroutine.close()


class CancelScope:
    """Cancels what was started inside when it is left early; made by `cancel_scope`.

    Attributes:
        cancel_called: Whether the cancel was asked for.
    """

    __slots__ = ("_scope", "_session", "_token", "cancel_called")

    def __init__(self) -> None:
        self.cancel_called = False
        self._session: Any = None
        self._scope = 0
        self._token: Any = None

    def cancel(self) -> None:
        """Cancel everything that was started inside so far, and go on.

        Raises:
            RuntimeError: The scope was not entered.
        """
        if self._session is None:
            raise RuntimeError("the cancel scope was not entered: use it in a with statement")
        self.cancel_called = True
        self._session.cancel_scope(self._scope)

    def __enter__(self) -> CancelScope:
        if self._session is not None:
            raise RuntimeError("a cancel scope can be entered once: make a new one")
        self._session = get_session()
        self._scope, self._token = self._session.enter_scope()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._session.leave_scope(self._token)
        if kind is not None:
            from ray_async.exceptions import NodeDiedError

            # Where the node is gone, so is the work; what ends the block shall be seen and not that.
            with contextlib.suppress(NodeDiedError):
                self.cancel()

    async def __aenter__(self) -> CancelScope:
        return self.__enter__()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.__exit__(kind, error, trace)


def cancel_scope() -> CancelScope:
    """Open a scope for remote work: ``async with`` in a coroutine, ``with`` in a thread.

    Tasks and actor calls that the block starts, the asyncio tasks that it makes start, and all that these start
    remotely in turn, belong to the scope. When the block is left by an exception (a cancellation too), all of it that
    is not finished is cancelled, as `cancel` does; references to it then raise `TaskCancelledError`. The block does not
    wait for that. When the block is left normally, nothing is cancelled. Actors made inside live on.

    Example:
        >>> async with asyncio.timeout(5), ray.cancel_scope():
        ...     await asyncio.gather(*[search.remote(part) for part in parts])
    """
    return CancelScope()
