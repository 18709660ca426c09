"""The batcher: runs the batches of one function, for one object and loop."""

from __future__ import annotations

import asyncio
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence, Set
from contextvars import Context
from dataclasses import dataclass
from io import StringIO
from typing import Any

from ray_async.serve.batching.forming import Forming, Item
from ray_async.serve.context import RequestContext, batch_requests, current_request
from ray_async.serve.exceptions import RayServeException, RequestCancelledError
from ray_async.serve.telemetry.batch_counts import count_batch

__all__ = ("END", "BatchSettings", "Batcher", "Pending")

END: Any = object()
_MANY_CALLERS = 8  # callers whose turns take longer than the pause before them
_MOMENT = 1e-5  # seconds; with what the system adds about as long as it takes to wake a thread


class NoListError(RayServeException, TypeError):
    """What a batch function has given is no list."""


@dataclass
class BatchSettings:
    """How batches are formed and run; `batch` documents them."""

    max_batch_size: int
    batch_wait_timeout_s: float
    max_concurrent_batches: int
    batch_size_fn: Callable[[list[Any]], Any] | None


class Pending(Item):
    """A call whose caller waits for its result, or for its results one by one.

    Args:
        arguments: The arguments by name.
        request: The caller's request, if there is one.
        loop: The running loop; the item has come now, on its clock.
    """

    def __init__(
        self, arguments: dict[str, Any], request: RequestContext | None, loop: asyncio.AbstractEventLoop
    ) -> None:
        first = next(iter(arguments.values()), None)
        super().__init__(first, "" if request is None else request.multiplexed_model_id, loop.time())
        self._loop = loop
        self.arguments = arguments
        self.request = request
        self.closed = False
        self._results: deque[Any] = deque()
        self._waiter: asyncio.Future[None] | None = None

    @property
    def gone(self) -> bool:
        """Whether its caller has been cancelled; known before the caller itself has its turn."""
        return self.closed or (self._waiter is not None and self._waiter.cancelled())

    async def receive(self) -> Any:
        """Wait for the next result; `END` after the last.

        Raises:
            Exception: The item's own, or what the batch function has raised.
        """
        while not self._results:
            self._waiter = self._loop.create_future()
            await self._waiter
        result = self._results.popleft()
        if isinstance(result, BaseException):
            raise result
        return result

    def put(self, result: Any) -> None:
        """Give the caller a result; an exception in its place is raised there."""
        self._results.append(result)
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    def end(self, error: Exception | None = None) -> None:
        """Give the caller no more, because of an error if there is one."""
        self.put(END if error is None else error)


class Batcher:
    """Collects calls and runs them in batches; used on its loop alone.

    Args:
        settings: How; changes are noticed by `adjust`.
        function: Gets a list for each argument, by name.
        streams: Whether it is an async generator.
        loop: The loop.
    """

    def __init__(
        self, settings: BatchSettings, function: Callable[..., Any], streams: bool, loop: asyncio.AbstractEventLoop
    ) -> None:
        self.loop = loop
        self._settings = settings
        self._function = function
        self._streams = streams
        self._forming: Forming[Pending] = Forming(
            settings.max_batch_size, settings.batch_wait_timeout_s, settings.batch_size_fn
        )
        self._running: dict[asyncio.Task[None], list[Pending]] = {}
        self._began: dict[asyncio.Task[None], float] = {}  # when, in seconds since the epoch
        self._last_began: list[float] = []
        self._timer: asyncio.Handle | None = None
        self._looks_soon = False

    def submit(self, arguments: dict[str, Any]) -> Pending:
        """Let a call wait for its batch."""
        item = Pending(arguments, current_request.get(), self.loop)
        self._forming.add(item)
        self.look_soon()
        return item

    @property
    def began(self) -> list[float]:
        """When each batch that runs has begun, or the last one where none runs, in seconds since the epoch."""
        return list(self._began.values()) or self._last_began

    @property
    def stacks(self) -> str:
        """Where the batches that run are, as text."""
        text = StringIO()
        for task in self._running:
            task.print_stack(file=text)
        return text.getvalue()

    def adjust(self) -> None:
        """Take over changed settings; from any thread."""
        self.loop.call_soon_threadsafe(self._adjust)

    def _adjust(self) -> None:
        self._forming.wait_s = self._settings.batch_wait_timeout_s
        self._forming.resize(self._settings.max_batch_size)
        self._look()

    def left(self, item: Pending) -> None:
        """Note that a caller has gone: its item is not run; a batch that has no caller left is cancelled."""
        for task, batch in self._running.items():
            if item in batch and all(other.gone for other in batch):
                task.cancel()
        self.look_soon()

    def look_soon(self) -> None:
        """Start what is due, once those that come at the same moment are there too."""
        if not self._looks_soon:
            self._looks_soon = True
            self.loop.call_soon(self._look)

    def _look(self) -> None:
        self._looks_soon = False
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        while len(self._running) < self._settings.max_concurrent_batches:
            batch = self._forming.take(self.loop.time())
            if batch is None:
                due_at = self._forming.due_at()
                if due_at is not None:
                    self._timer = self.loop.call_at(due_at, self._look)
                break
            # A context of its own: what the batch calls belongs to none of its callers.
            task = self.loop.create_task(self._run(batch), context=Context())
            self._running[task] = batch
            self._began[task] = time.time()
            task.add_done_callback(self._ended)
        failed, self._forming.failed = self._forming.failed, []
        for item, error in failed:
            item.end(error)

    def _ended(self, task: asyncio.Task[None]) -> None:
        batch = self._over(task)
        error = None if task.cancelled() else task.exception()
        if error is not None:  # neither an error of the batch nor a cancel: something that ends processes
            for item in batch:
                item.end(RayServeException(f"The batch function was ended by {type(error).__name__}."))
        self.look_soon()

    async def _run(self, batch: list[Pending]) -> None:
        outer = next((item.request for item in batch if item.request is not None), None)
        request = RequestContext(
            "" if outer is None else outer.request_id,
            "" if outer is None else outer.route,
            "" if outer is None else outer.app_name,
            batch[0].model_id,
            task=asyncio.current_task(),
        )
        current_request.set(request)
        batch_requests.set([item.request for item in batch if item.request is not None])
        began = self.loop.time()
        try:
            await self._call(batch, _columns(batch))
        except asyncio.CancelledError:
            request.cancel_calls()
            for item in batch:
                item.end(RequestCancelledError(request.request_id))
            raise
        except Exception as error:
            request.cancel_calls()
            for item in batch:
                item.end(error)
        finally:
            request.task = None
            wait_s = began - min(item.arrived for item in batch)
            forming = self._forming
            took = self.loop.time() - began
            count_batch(self._function, len(batch), forming.max_size, forming.waiting, wait_s, took)

    async def _begin_next(self, callers: int) -> None:
        """Start what is due before the callers of the batch that is over have their turns.

        A thread that the next batch runs in cannot begin while the loop has Python's lock: many callers wait for that.
        """
        task = asyncio.current_task()
        assert task is not None
        self._over(task)
        self._look()
        if callers >= _MANY_CALLERS and self._running and threading.active_count() > 1:
            await asyncio.sleep(0)  # the next batch's function is called
            if self._running:
                _let_threads_go()

    def _over(self, task: asyncio.Task[None]) -> list[Pending]:
        """Note that a batch does not run any more; gives its items, once."""
        if task in self._began:
            self._last_began = [self._began.pop(task)]
        return self._running.pop(task, [])

    async def _call(self, batch: list[Pending], columns: dict[str, list[Any]]) -> None:
        if not self._streams:
            results = _checked(await self._function(**columns), len(batch))
            await self._begin_next(len(batch))
            for item, result in zip(batch, results, strict=True):
                item.put(result)
            return
        source = self._function(**columns)
        try:
            async for results in source:
                for item, result in zip(batch, _checked(results, len(batch)), strict=True):
                    if isinstance(result, StopIteration | StopAsyncIteration):
                        item.end()
                    elif not item.gone:
                        item.put(result)
                if all(item.gone for item in batch):
                    break
        finally:
            await source.aclose()
        for item in batch:
            item.end()


def _let_threads_go() -> None:
    """Let go of Python's lock for a moment."""
    time.sleep(_MOMENT)


def _columns(batch: list[Pending]) -> dict[str, list[Any]]:
    """A list for each argument that one of the items has at least."""
    names = dict.fromkeys(name for item in batch for name in item.arguments)
    lacking = [name for item in batch for name in names if name not in item.arguments]
    if lacking:
        raise RayServeException(f"The calls of one batch must all give the argument {lacking[0]!r}, or none of them.")
    return {name: [item.arguments[name] for item in batch] for name in names}


def _checked(results: Any, count: int) -> Sequence[Any]:
    """The results of a batch, one for each item."""
    is_list = hasattr(results, "__len__") and hasattr(results, "__iter__")
    if not is_list or isinstance(results, str | bytes | bytearray | Mapping | Set):
        raise NoListError(
            f"A batch function must give a list with one result for each item, but gave {type(results).__name__}."
        )
    if len(results) != count:
        raise RayServeException(
            f"A batch function must give a list with one result for each item: it got {count} items and gave "
            f"{len(results)} results."
        )
    return list(results)
