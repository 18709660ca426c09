"""Host of coroutines: an async actor, or a worker that takes several async tasks at once. All on one event loop.

The loop's own waiter is registered with the queue, so producers wake the loop directly. Death, cancel and status do not
depend on the loop: they are the node's, and a watchdog thread warns when a method stalls it.
"""

from __future__ import annotations

import asyncio
import contextlib
import inspect
from collections import deque
from collections.abc import Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from sys import getrefcount
from types import FrameType
from typing import TYPE_CHECKING, Any
from weakref import getweakrefcount

from ray_async import exceptions as errors
from ray_async._core import execution
from ray_async._core.codec import ArgRef
from ray_async._core.constants import WorkerFlag
from ray_async._core.own_slot import busy_lease
from ray_async._core.steps import PlainCall, Steps
from ray_async._core.submission import set_parent
from ray_async.runtime.awaiting.patience import Patience
from ray_async.runtime.worker.definitions import first_items
from ray_async.runtime.worker.failure import cancelled_payload, unstorable_payload
from ray_async.runtime.worker.forked_child import runs_a_loop
from ray_async.runtime.worker.hosts.actor_host import _refuse_group, run_in_thread
from ray_async.runtime.worker.hosts.frames import running_definition, running_record, runs_user_code
from ray_async.runtime.worker.stall_watch import StallWatch
from ray_async.runtime.worker.stream_writer import StreamWriter, close_generator

if TYPE_CHECKING:
    from ray_async._core.record_facts import RecordFacts
    from ray_async.runtime.worker.definitions import Definition
    from ray_async.runtime.worker.lost_interrupt import LostInterrupts
    from ray_async.runtime.worker.worker import Worker
    from ray_async.spec.actor_description import ActorDescription

__all__ = ("AsyncHost", "host_async_actor", "running_definition", "serve_async_class")

_TICK_S, _LONGEST_TICK_S = 0.5, 4.0
_BATCH_RECORDS = 128
_CALLS_THAT_WAIT = 64  # after one that had to wait, for which the next ones get asyncio tasks of their own
_MAX_THREADS = 256
_ABANDONED_S = 0.2  # between looks whether a stream still has a consumer
_ITEMS_IN_A_ROW = 128  # that a generator which never waits may yield before others on its loop have a turn


@runs_a_loop
def host_async_actor(worker: Worker, offset: int, actor: ActorDescription) -> None:
    """Create an async actor and serve it: ``__init__`` and all methods run on one loop."""
    loop = worker.loop()
    asyncio.set_event_loop(loop)
    worker.on_loop = True
    queue, groups, limit = worker.executor.queue_of_actor(offset), actor.concurrency_groups, actor.max_concurrency
    if groups:
        from ray_async.runtime.worker.hosts.grouped_host import GroupedHost

        host: AsyncHost = GroupedHost(worker, queue, groups, limit)
    else:
        host = AsyncHost(worker, queue, limit)
    try:
        loop.run_until_complete(host.create_and_serve(worker.executor.creation_of_actor(offset)))
    except SystemExit as error:  # exit_actor(), say, in an asyncio task that no call waits for
        worker.leave(error)


@runs_a_loop
def serve_async_class(worker: Worker, queue: int, lease: int, limit: int) -> int:
    """Serve a class of async tasks, so many at once, while the lease holds; returns why it ended."""
    loop = worker.loop()
    asyncio.set_event_loop(loop)
    host = AsyncHost(worker, queue, limit)
    try:
        return int(loop.run_until_complete(host.serve_lease(lease)))
    finally:
        worker.async_host = None


class AsyncHost:
    """Takes records from one queue and runs each on the loop, in a context of its own.

    Calls that do not have to wait share an asyncio task, which runs one after the other; from where a call waits the
    task is its own. So `asyncio.current_task()` is the same to the end of each call, and most calls cost no task.

    Args:
        worker: the process.
        queue: offset of the queue.
        limit: how many run at once.
    """

    def __init__(self, worker: Worker, queue: int, limit: int) -> None:
        self._worker = worker
        self._executor = worker.executor
        self._own_slot = worker.own_slot
        self._queue = queue
        self._limit = limit
        self._without_arguments = 0
        self._full = False  # records may be left in the queue for want of room
        self._gates = {"": asyncio.Semaphore(limit)}
        #: What runs, by record: this host is the supervisor of these tasks.
        self._tasks: dict[int, asyncio.Task[None]] = {}
        #: What was taken from the queue and has not begun, in order: plain calls, and the records of all others. While
        #: there is any, a task is about to begin it.
        self._claimed: deque[PlainCall | int] = deque()
        self._context = copy_context()  # what the context of each call is a copy of
        self._loop: asyncio.AbstractEventLoop = worker.loop()
        self._over: asyncio.Future[None] | None = None
        self._leaving_flags: int = WorkerFlag.EXIT
        self._lease: tuple[int, int] | None = None  # its word while idle, while busy
        self._idle = True
        self._timer: Any = None
        self._tick_s = _TICK_S
        self._done_at_tick = self._done_at_look = 0
        self._binding = worker.session.loops.binding()
        self._binding.on_wake(self._pump)
        self._binding.before_resuming(self._see_cancels)
        self._patience = Patience()
        # Calls that wait for long, such as one that lasts as long as its actor: two ticks in a row have seen them.
        self._lasting: set[asyncio.Task[None]] = set()
        self._seen_at_tick: set[asyncio.Task[None]] = set()
        self._stall = StallWatch(worker.stall_after_s, running_definition)
        self._delivered: set[int] = set()
        self._threads: ThreadPoolExecutor | None = None
        worker.async_host = self

    # -- lives ---------------------------------------------------------------------------------------------------------

    async def create_and_serve(self, creation: int) -> None:
        """Life of an async actor."""
        executor = self._executor
        definition: Definition | None = None
        try:
            function, definition = executor.prepare(creation)
            args, kwargs = await self._resolve(*executor.arguments(creation))
        except BaseException as error:
            executor.end_if_forked(error)
            self._worker._creation_failed(creation, definition, error)
            return
        set_parent(creation, True)
        with self._worker.executing(creation, definition, executor.options(creation)):
            self._worker.create_actor(creation, function, definition, args, kwargs)
        set_parent(0, True)
        if self._worker.actor_ready:
            await self._serve(WorkerFlag.EXIT)

    async def serve_lease(self, lease: int) -> int:
        """Serve a class until the lease is wanted back; what runs is finished first."""
        self._lease = (lease, busy_lease(lease))
        await self._serve(WorkerFlag.REVOKE | WorkerFlag.EXIT)
        while self._claimed:
            await asyncio.sleep(0)
        if self._tasks:
            await asyncio.wait(list(self._tasks.values()))
        return execution.EXIT if self._own_slot.flags & WorkerFlag.EXIT else execution.LEFT

    async def _serve(self, leaving_flags: int) -> None:
        """Take records as they come, until the node sets one of the flags or the lease is gone."""
        executor, index = self._executor, self._binding.waiter_index
        self._leaving_flags = leaving_flags
        self._context = copy_context()  # with what an actor's __init__ has set
        self._over = asyncio.get_running_loop().create_future()
        executor.register(self._queue, index)
        self._stall.start()
        try:
            self._tick()
            await self._over
        finally:
            self._stall.stop()
            self._timer.cancel()
            executor.unregister(self._queue, index)

    def _tick(self) -> None:
        """A look at the flags from time to time, seldom at rest: they may be set and the datagram be lost."""
        if self._executor.before_rest is not None:
            self._executor.before_rest()
        done = self._executor.done
        rests = done == self._done_at_tick and not self._tasks
        self._tick_s = min(2 * self._tick_s, _LONGEST_TICK_S) if rests else _TICK_S
        self._done_at_tick = done
        seen = set(self._tasks.values())
        self._lasting, self._seen_at_tick = seen & self._seen_at_tick, seen
        self._timer = self._loop.call_later(self._tick_s, self._tick)
        self._pump()

    def _pump(self) -> None:
        """Start what is queued, as much as may run. Called at each wake-up and when there is room again."""
        if self._over is None or self._over.done():
            return
        self._full = False
        executor = self._executor
        flags = self._own_slot.flags
        if flags & self._leaving_flags:
            self._over.set_result(None)
            return
        self._see_cancels()
        if self._lease is not None and self._idle:
            # The lease was idle, and may be gone.
            if not self._own_slot.swap_lease(*self._lease):
                self._over.set_result(None)
                return
            self._idle = False
        if self._claim():
            return
        executor.wants_refill(self._queue)
        if self._tasks:
            self._binding.consider_lending()
        if self._may_look() and self._looks_in_time():
            if not self._claim():
                self._pump_again()
            return
        if not self._tasks and executor.before_rest is not None:
            executor.before_rest()
        if self._lease is not None and not self._tasks:
            if not self._own_slot.swap_lease(self._lease[1], self._lease[0]):
                self._over.set_result(None)
                return
            self._idle = True
            executor.say_idle(self._queue)
        if executor.arm(self._queue):
            self._pump_again()

    def _may_look(self) -> bool:
        """Whether this is an occasion to look for a record.

        Nothing runs; or only calls that have waited for long, and another one has ended since the last occasion.
        Else the loop has been woken for them.
        """
        tasks, lasting = self._tasks, self._lasting
        if not tasks:
            return True
        done = self._executor.done
        if done == self._done_at_look or len(tasks) > len(lasting) or not lasting.issuperset(tasks.values()):
            return False
        self._done_at_look = done
        return True

    def _looks_in_time(self) -> bool:
        """Whether a look at the queue for a moment finds a record, at an occasion to look."""
        if not self._patience.allows():
            return False
        found: bool = self._binding.waiter.linger(self._queue)
        self._patience.note(in_vain=not found)
        return found

    def _claim(self) -> bool:
        """Take records, as much as may run; whether the pump is to wait until they have begun, or for room."""
        executor, claimed = self._executor, self._claimed
        room = self._limit + self._without_arguments - len(self._tasks) - len(claimed)
        begun = not claimed
        for _ in range(min(room, _BATCH_RECORDS)):
            record = executor.pop(self._queue)
            if record == 0:
                break
            try:
                claimed.append(executor.plain_call(record) or record)
            except Exception as error:
                self._fail(record, None, error)
        else:
            self._full = room <= _BATCH_RECORDS and bool(claimed or self._tasks)
        if begun and claimed:
            self._begin_claimed()
        return bool(claimed) or self._full

    def _see_cancels(self) -> None:
        """Cancel what was cancelled, before what waited goes on: whoever cancels may release it next."""
        if self._own_slot.flags & WorkerFlag.CANCEL:
            self._own_slot.clear_flag(WorkerFlag.CANCEL)
            self._look_for_cancels()

    def _look_for_cancels(self) -> None:
        """Cancel those tasks of the running loop whose records are cancelled."""
        loop = asyncio.get_running_loop()
        for record, task in list(self._tasks.items()):
            # Once: a second cancel would hit the coroutine's own cleaning up.
            if record not in self._delivered and task.get_loop() is loop and self._executor.is_cancelled(record):
                self._deliver_cancel(record)
                self._cancel(record, task)

    def _deliver_cancel(self, record: int) -> None:
        self._delivered.add(record)
        self._executor.cancel_delivered(record)

    def _cancel(self, record: int, task: asyncio.Task[None]) -> None:
        task.cancel()
        coroutine = task.get_coro()
        if inspect.iscoroutine(coroutine) and inspect.getcoroutinestate(coroutine) == inspect.CORO_CREATED:
            # Nothing of the coroutine will run, its ending of the record neither.
            self._fail(record, None, asyncio.CancelledError())
            self._ended(record)

    def cancel_not_delivered(self, record: int) -> None:
        """Take back that a record's cancel was delivered."""
        self._delivered.discard(record)

    def runs(self, record: int) -> bool:
        """Whether a record has a task here."""
        return record in self._tasks

    def interrupted(self, frame: FrameType | None, lost: LostInterrupts) -> None:
        """Handle the node's signal: some record is cancelled. Runs in between the code of any task of the loop.

        Args:
            frame: where the main thread is.
            lost: what sees to interrupts that Python drops.

        Raises:
            CancelledError: in user code of the very call that is cancelled, which may hold up the loop.
        """
        self._loop.call_soon_threadsafe(self._look_for_cancels)
        record = running_record(frame)
        if lost.handling:
            return
        if record in self._tasks and record not in self._delivered and self._executor.is_cancelled(record):
            self._deliver_cancel(record)
            raise lost.mark(asyncio.CancelledError(), record)

    @staticmethod
    def running_name(frame: FrameType | None) -> str:
        """Name of what runs at a frame; "" for nothing that is known."""
        return running_definition(frame) or ""

    # -- one record ----------------------------------------------------------------------------------------------------

    def _new_task(self, coroutine: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        # Not by way of the loop, which counts tasks for names that nobody needs, in a good part of the time of a call.
        return asyncio.Task(coroutine, loop=self._loop, name="ray_async", context=self._context.copy())

    def _begin_claimed(self) -> None:
        """Have the claimed records begun, or more of them claimed, after all that the loop has to do now."""
        if self._claimed:
            self._new_task(self._run_claimed())
        else:
            self._pump_again()

    async def _run_claimed(self) -> None:
        """Run claimed records, in this task up to one that has to wait. They begin in order."""
        claimed, tasks = self._claimed, self._tasks
        task = asyncio.current_task(self._loop)
        assert task is not None
        references, weak_references = getrefcount(task), getweakrefcount(task)
        some_to_begin = waits = False
        try:
            while claimed:
                call = claimed[0]
                if isinstance(call, int):
                    tasks[call] = self._new_task(self._run(call))
                elif call.definition.calls_that_wait:
                    call.definition.calls_that_wait -= 1
                    tasks[call.record] = self._new_task(self._run_plain(call.record, call))
                else:
                    # No other call gets a task that one has cancelled, kept, or hung something on.
                    if some_to_begin or task.cancelling() or task._callbacks:
                        break
                    if getrefcount(task) != references or getweakrefcount(task) != weak_references:
                        break
                    del claimed[0]
                    tasks[call.record] = task
                    steps = self._begin(call.record, call)
                    if steps is not None:
                        waits = True
                        self._begin_claimed()
                        await self._finish(call.record, call.definition, steps)
                        return
                    continue
                del claimed[0]
                some_to_begin = True  # and nothing that was called later begins before it
        finally:
            if not waits:
                self._begin_claimed()

    @runs_user_code
    def _begin(self, record: int, call: PlainCall) -> Steps | None:
        """Run a claimed call to its end, or to where it waits; then returns what is to be awaited."""
        definition, context = call.definition, self._context.copy()
        steps = None
        try:
            if self._executor.is_cancelled(record):
                raise asyncio.CancelledError
            steps = call.run(context)
            if steps is not None:
                definition.calls_that_wait = _CALLS_THAT_WAIT
        except BaseException as error:
            context.run(self._fail, record, definition, error)
        finally:
            if steps is None:
                self._forget(record)
        return steps

    @runs_user_code
    async def _finish(self, record: int, definition: Definition, steps: Steps) -> None:
        """Run a call from where it waits to its end."""
        context = steps.context
        try:
            context.run(self._executor.succeed, record, await steps)
        except BaseException as error:
            context.run(self._fail, record, definition, error)
        finally:
            self._ended(record)

    @runs_user_code
    async def _run_plain(self, record: int, call: PlainCall) -> None:
        """The usual case of a call that waits."""
        definition = call.definition
        set_parent(record, True)
        try:
            if self._executor.is_cancelled(record):
                raise asyncio.CancelledError
            self._executor.succeed(record, await call.coroutine())
        except BaseException as error:
            self._fail(record, definition, error)
        finally:
            self._ended(record)

    def _ended(self, record: int) -> None:
        self._forget(record)
        self._consider_pumping()

    def _forget(self, record: int) -> None:
        del self._tasks[record]
        if self._delivered:
            self._delivered.discard(record)

    def _consider_pumping(self) -> None:
        if self._full or not self._tasks:
            self._pump_again()

    def _pump_again(self) -> None:
        self._full = False
        self._loop.call_soon(self._pump, context=self._context)

    async def _run(self, record: int) -> None:
        executor, worker = self._executor, self._worker
        definition: Definition | None = None
        set_parent(record, True)
        try:
            if executor.is_cancelled(record):
                raise asyncio.CancelledError
            function, definition = executor.prepare(record)
            options = executor.options(record)
            group = options.get("concurrency_group") or definition.group or ""
            if group not in self._gates:
                _refuse_group(worker, record, definition, group, sorted(self._gates))
                return
            args, kwargs = await self._resolve(*executor.arguments(record))
            async with self._gates[group]:
                if executor.is_cancelled(record):
                    raise asyncio.CancelledError
                if definition.in_thread:
                    await self._in_thread(record)
                    return
                with worker.executing(record, definition, options):
                    await self._call(record, function, definition, args, kwargs)
        except BaseException as error:
            self._fail(record, definition, error)
        finally:
            self._ended(record)

    async def _in_thread(self, record: int) -> None:
        """Run a sync method in a thread, which goes on with its record whatever happens to this asyncio task."""
        loop = asyncio.get_running_loop()
        if self._threads is None:
            self._threads = ThreadPoolExecutor(min(self._limit, _MAX_THREADS), thread_name_prefix="ray::method")
        future = loop.run_in_executor(self._threads, run_in_thread, self._worker, record)
        while not future.done():
            with contextlib.suppress(asyncio.CancelledError):  # as in other actors, the method asks is_canceled()
                await asyncio.shield(future)

    @runs_user_code
    async def _call(
        self, record: int, function: Callable[..., Any], definition: Definition, args: tuple[Any, ...], kwargs: Any
    ) -> None:
        executor = self._executor
        facts = executor.facts(record)
        if (definition.is_async and definition.is_generator) or inspect.isasyncgenfunction(function):
            await self._stream(record, definition, facts, function(*args, **kwargs))
            return
        result = function(*args, **kwargs)
        # A reference that a plain method returns can be awaited too, but is the result.
        if inspect.iscoroutine(result) or (definition.is_async and inspect.isawaitable(result)):
            result = await result
        if facts["stream"]:
            await self._stream(record, definition, facts, result)
        else:
            if inspect.isgenerator(result) and facts["n_returns"] != 1:
                result = first_items(result, facts["n_returns"], definition.name)
            executor.succeed(record, result)

    @runs_user_code
    async def _stream(self, record: int, definition: Definition, facts: RecordFacts, items: Any) -> None:
        executor = self._executor
        writer = StreamWriter(executor, record, facts, definition.name)
        try:
            if hasattr(items, "__anext__"):
                breath = 0
                async for item in items:
                    writer.write(item)
                    if writer.is_ahead():
                        await self._pause(writer)
                    breath = (breath + 1) % _ITEMS_IN_A_ROW
                    if not breath:
                        await asyncio.sleep(0)
            elif hasattr(items, "__iter__"):
                for item in items:
                    writer.write(item)
                    if writer.is_ahead():
                        await self._pause(writer)
                    await asyncio.sleep(0)
            else:
                raise ValueError(f"a streaming call must give a generator, not {type(items).__name__}")
            if facts["n_returns"] == 2 and facts["stream"]:
                executor.end_stream(record)
        except BaseException as error:
            executor.end_if_forked(error)
            overtaken = isinstance(error, Exception) and executor.is_overtaken(record)
            self._deliver_cancel(record)  # what the generator does from now on is its cleaning up
            await close_generator(items)
            if overtaken:
                raise asyncio.CancelledError from error
            raise

    async def _pause(self, writer: StreamWriter) -> None:
        """Wait until the consumer has taken enough, or there is none any more."""
        binding = self._worker.session.loops.binding()
        while True:
            # Watched before the look: who takes items after it wakes this loop, when it is time to go on.
            writer.stream.watch_consumer(binding.waiter_index)
            if not writer.is_ahead():
                return
            await binding.woken(_ABANDONED_S)

    async def _resolve(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """Await the arguments that are references. A call that waits for them takes nobody's place."""
        if not any(type(value) is ArgRef for value in (*args, *kwargs.values())):
            return args, kwargs
        self._without_arguments += 1
        if self._full:
            self._pump_again()
        try:
            resolved = [await value.ref if type(value) is ArgRef else value for value in args]
            named = {key: await value.ref if type(value) is ArgRef else value for key, value in kwargs.items()}
        except errors.RayError as error:
            error.__dict__["_from_argument"] = args, kwargs
            raise
        finally:
            self._without_arguments -= 1
        return tuple(resolved), named

    def _fail(self, record: int, definition: Definition | None, error: BaseException) -> None:
        executor, worker = self._executor, self._worker
        executor.end_if_forked(error)
        if isinstance(error, SystemExit):
            worker.leave(error)
        try:
            if isinstance(error, asyncio.CancelledError) and executor.is_cancelled(record):
                payload: bytes | None = cancelled_payload(worker, record, definition, error)
            else:
                if isinstance(error, asyncio.CancelledError):
                    error = errors.TaskCancelledError(None, "the coroutine raised asyncio.CancelledError")
                payload = worker._failed(executor, record, None, definition, error)
        except BaseException as reason:  # of the user's code that describes or pickles the error
            payload = unstorable_payload(reason)
        if payload is not None:
            executor.fail(record, payload)
