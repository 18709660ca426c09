"""Running coroutines: an async actor, or a worker that takes several async tasks at once. All on one event loop.

The loop's own waiter is registered with the queue, so producers wake the loop directly. Death, cancel and status do not
depend on the loop: they are the node's, and a watchdog thread tells when a method stalls it.
"""

from __future__ import annotations

import asyncio
import contextvars
import inspect
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from ray_async import exceptions as errors
from ray_async._core import execution
from ray_async._core.codec import ArgRef
from ray_async._core.submission import set_parent
from ray_async.runtime.worker.actor_host import _refuse_group, run_in_thread
from ray_async.runtime.worker.failure import cancelled_payload
from ray_async.runtime.worker.stall_watch import StallWatch

if TYPE_CHECKING:
    from ray_async.runtime.worker.definitions import Definition
    from ray_async.runtime.worker.process import Worker

__all__ = ("host_async_actor", "serve_async_class")

TASKS_PER_WORKER = 100


def host_async_actor(worker: Worker, offset: int, spec: dict[str, Any]) -> None:
    """Create an async actor and serve it: ``__init__`` and all methods run on one loop."""
    loop = worker.loop()
    asyncio.set_event_loop(loop)
    worker.on_loop = True
    host = AsyncHost(
        worker, worker.executor.queue_of_actor(offset), spec["concurrency_groups"], spec["max_concurrency"]
    )
    loop.run_until_complete(host.create_and_serve(worker.executor.creation_of_actor(offset)))


def serve_async_class(worker: Worker, class_id: int, lease: int, facts: dict[str, Any]) -> int:
    """Serve a class of async tasks while the lease holds; returns why it ended."""
    loop = worker.loop()
    asyncio.set_event_loop(loop)
    limit = facts.get("tasks_per_worker", TASKS_PER_WORKER)
    host = AsyncHost(worker, worker.executor.queue_of_class(class_id), {}, limit)
    return loop.run_until_complete(host.serve_lease(lease))


class AsyncHost:
    """Takes records from one queue and runs each as an asyncio task.

    Args:
        worker: the process.
        queue: offset of the queue.
        groups: concurrency groups and their sizes.
        limit: how many run at once outside of groups.
    """

    def __init__(self, worker: Worker, queue: int, groups: dict[str, int], limit: int) -> None:
        self._worker = worker
        self._executor = worker.executor
        self._queue = queue
        self._limits = {name: asyncio.Semaphore(size) for name, size in groups.items()}
        self._limit = limit
        self._gate = asyncio.Semaphore(limit)
        self._tasks: dict[int, asyncio.Task[None]] = {}
        self._supervised: set[asyncio.Task[None]] = set()
        self._more = asyncio.Event()
        self._leaving: SystemExit | None = None
        self._binding = worker.session.loops.binding()
        self._binding.on_wake(self._look)
        self._stall = StallWatch(worker.stall_after_s)
        self._in_user_code: set[int] = set()
        self._told: set[int] = set()
        self._loop = asyncio.get_event_loop()
        worker.async_host = self

    # -- lives ---------------------------------------------------------------------------------------------------------

    async def create_and_serve(self, creation: int) -> None:
        """Life of an async actor."""
        executor = self._executor
        function, definition = executor.prepare(creation)
        try:
            args, kwargs = await self._resolve(*executor.arguments(creation))
        except BaseException as error:
            self._worker._creation_failed(creation, definition, error)
            return
        with self._worker.executing(creation, definition, executor.options(creation)):
            self._worker.create_actor(creation, function, definition, args, kwargs)
        if self._worker.actor_ready:
            await self._serve(lambda: bool(executor.flags & 4))

    async def serve_lease(self, lease: int) -> int:
        """Serve a class until the lease is wanted back; what runs is finished first."""
        busy = (lease & ~0xFF) | 2
        executor = self._executor
        if not executor.swap_lease(lease, busy):
            return execution.LEFT
        await self._serve(lambda: bool(executor.flags & 5), idle=(lease, busy))
        if self._tasks:
            await asyncio.wait(self._supervised)
        return execution.EXIT if executor.flags & 4 else execution.LEFT

    async def _serve(self, done: Callable[[], bool], idle: tuple[int, int] | None = None) -> None:
        executor = self._executor
        index = self._binding.waiter_index
        executor.register(self._queue, index)
        self._stall.start()
        try:
            while not done() and self._leaving is None:
                self._more.clear()
                self._look_for_cancels()
                while len(self._tasks) < self._limit or self._limits:
                    record = executor.pop(self._queue)
                    if record == 0:
                        break
                    self._start(record)
                executor.wants_refill(self._queue)
                if idle is not None and not self._tasks:
                    # Nothing runs: the lease is idle, and may be gone when work comes.
                    if not executor.swap_lease(idle[1], idle[0]):
                        return
                    executor.say_idle(self._queue)
                full = len(self._tasks) >= self._limit and not self._limits
                if not full and executor.arm(self._queue):
                    self._more.set()
                try:
                    await asyncio.wait_for(self._more.wait(), 0.5)
                except TimeoutError:
                    # A look at the flags from time to time: they are set without a wake-up when a datagram is lost.
                    self._more.clear()
                if idle is not None and not self._tasks and not executor.swap_lease(idle[0], idle[1]):
                    return
        finally:
            self._stall.stop()
            executor.unregister(self._queue, index)
        if self._leaving is not None:
            raise self._leaving

    def _look(self) -> None:
        self._more.set()

    def _look_for_cancels(self) -> None:
        for record, task in list(self._tasks.items()):
            # Once: a second cancel would hit the coroutine's own cleaning up.
            if record not in self._told and self._executor.is_cancelled(record):
                self._told.add(record)
                task.cancel()

    def interrupted(self) -> None:
        """Handle the node's signal: some record is cancelled. Runs in between the code of any task of the loop.

        Raises:
            CancelledError: in code of the very call that is cancelled, which may hold up the loop.
        """
        self._loop.call_soon_threadsafe(self._look_for_cancels)
        task = asyncio.current_task(self._loop)
        for record in [r for r, running in self._tasks.items() if running is task]:
            if record in self._in_user_code and record not in self._told and self._executor.is_cancelled(record):
                self._told.add(record)
                raise asyncio.CancelledError

    # -- one record ----------------------------------------------------------------------------------------------------

    def _start(self, record: int) -> None:
        context = contextvars.copy_context()
        task = asyncio.get_running_loop().create_task(self._run(record), context=context)
        self._tasks[record] = task
        self._supervised.add(task)
        task.add_done_callback(lambda ended: self._ended(record, ended))

    def _ended(self, record: int, task: asyncio.Task[None]) -> None:
        del self._tasks[record]
        self._told.discard(record)
        self._supervised.discard(task)
        error = None if task.cancelled() else task.exception()
        if isinstance(error, SystemExit):
            self._leaving = error
        self._more.set()

    async def _run(self, record: int) -> None:
        executor, worker = self._executor, self._worker
        function: Callable[..., Any] | None = None
        definition: Definition | None = None
        set_parent(record, True)
        try:
            function, definition = executor.prepare(record)
            options = executor.options(record)
            group = options.get("concurrency_group") or definition.group
            if group and group not in self._limits:
                _refuse_group(worker, record, definition, group, sorted(self._limits))
                return
            gate = self._limits[group] if group else self._gate
            async with gate:
                args, kwargs = await self._resolve(*executor.arguments(record))
                if executor.is_cancelled(record):
                    raise asyncio.CancelledError
                if definition.options.get("thread"):
                    await asyncio.to_thread(run_in_thread, worker, record)
                    return
                with worker.executing(record, definition, options):
                    await self._call(record, function, definition, args, kwargs)
        except BaseException as error:
            self._fail(record, function, definition, error)

    async def _call(
        self, record: int, function: Callable[..., Any], definition: Definition, args: tuple[Any, ...], kwargs: Any
    ) -> None:
        executor = self._executor
        facts = executor.facts(record)
        task = asyncio.current_task()
        if task is not None:
            task.set_name(definition.name)  # which the report of a stall shows
        if (definition.is_async and definition.is_generator) or inspect.isasyncgenfunction(function):
            await self._stream(record, facts, function(*args, **kwargs))
            return
        self._in_user_code.add(record)
        try:
            result = function(*args, **kwargs)
            if inspect.isawaitable(result):
                result = await result
        finally:
            self._in_user_code.discard(record)
        if facts["stream"]:
            await self._stream(record, facts, result)
        else:
            if inspect.isgenerator(result) and facts["n_returns"] != 1:
                result = list(result)
            executor.succeed(record, result)

    async def _stream(self, record: int, facts: dict[str, Any], items: Any) -> None:
        executor = self._executor
        skip, _ = executor.stream_position(record)
        limit = facts["backpressure"]
        async for item in _each(items):
            if skip:
                skip -= 1
                continue
            executor.yield_item(record, item)
            while limit:
                produced, consumed = executor.stream_position(record)
                if produced - consumed < limit:
                    break
                self._binding.watch_stream(executor, record)
                await asyncio.sleep(0.005)
        if facts["n_returns"] == 2 and facts["stream"]:
            executor.end_stream(record)

    async def _resolve(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """Await the arguments that are references."""
        resolved = [await value.ref if type(value) is ArgRef else value for value in args]
        named = {key: await value.ref if type(value) is ArgRef else value for key, value in kwargs.items()}
        return tuple(resolved), named

    def _fail(
        self, record: int, function: Callable[..., Any] | None, definition: Definition | None, error: BaseException
    ) -> None:
        executor, worker = self._executor, self._worker
        if isinstance(error, SystemExit):
            worker._leave(executor, record, error)
        if isinstance(error, asyncio.CancelledError) and executor.is_cancelled(record):
            payload: bytes | None = cancelled_payload(worker.session.task_id_of(record))
            if executor.facts(record)["stream"]:
                executor.end_stream(record, payload)
                return
        elif isinstance(error, asyncio.CancelledError):
            wrapped = errors.TaskCancelledError(None, "the coroutine raised asyncio.CancelledError")
            payload = worker._failed(executor, record, function, definition, wrapped)
        else:
            payload = worker._failed(executor, record, function, definition, error)
        if payload is not None:
            executor.fail(record, payload)


async def _each(items: Any) -> Any:
    if hasattr(items, "__anext__"):
        async for item in items:
            yield item
    elif hasattr(items, "__iter__"):
        for item in items:
            yield item
            await asyncio.sleep(0)
    else:
        raise ValueError(f"a streaming call must give a generator, not {type(items).__name__}")
