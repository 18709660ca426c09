"""The pump: an execution on an event loop of a thread of its own, for consumers that are not coroutines."""

from __future__ import annotations

import asyncio
import contextlib
import queue
import threading
from collections.abc import Iterator
from typing import Any

from ray_async.data.block.bundle import RowBundle
from ray_async.data.executor.machine import Limits
from ray_async.data.executor.remote import RemoteExecution, Watch
from ray_async.data.plan.physical import PhysicalPlan

__all__ = ("Pump",)


class Pump:
    """Bundles of an execution, for one thread to take; ends with its last bundle, an error, or `close`.

    Args:
        plan: the stages.
        limits: what they may use.
        ahead: bundles that wait for the consumer.
        started: is called with the execution when it has begun.
        watch: as of `RemoteExecution`.
    """

    def __init__(
        self, plan: PhysicalPlan, limits: Limits, ahead: int, started: Any = None, watch: Watch | None = None
    ) -> None:
        self._plan = plan
        self._limits = limits
        self._ahead = max(1, ahead)
        self._started = started
        self._watch = watch
        self._queue: queue.SimpleQueue[RowBundle | BaseException | None] = queue.SimpleQueue()
        self._ready = threading.Event()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._task: asyncio.Task[None] | None = None
        self._room: asyncio.Semaphore | None = None
        self._thread = threading.Thread(target=self._run, name="ray_async data", daemon=True)
        self._thread.start()

    def __iter__(self) -> Iterator[RowBundle]:
        try:
            while True:
                item = self._queue.get()
                if item is None:
                    return
                if isinstance(item, BaseException):
                    raise item
                self._call(self._give_room)
                yield item
        finally:
            self.close()

    def close(self) -> None:
        """Stop the execution and wait for its thread."""
        self._ready.wait()
        self._call(self._cancel)
        if self._thread is not threading.current_thread():
            self._thread.join()

    def _call(self, function: Any) -> None:
        assert self._loop is not None
        with contextlib.suppress(RuntimeError):  # the loop is closed: the execution is over
            self._loop.call_soon_threadsafe(function)

    def _give_room(self) -> None:
        assert self._room is not None
        self._room.release()

    def _cancel(self) -> None:
        if self._task is not None:
            self._task.cancel()

    def _run(self) -> None:
        try:
            asyncio.run(self._main())
        except BaseException as error:  # whatever it is, the consumer's thread is to raise it
            self._ready.set()
            self._queue.put(error)

    async def _main(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._task = asyncio.current_task()
        self._room = asyncio.Semaphore(self._ahead)
        self._ready.set()
        try:
            async with RemoteExecution(self._plan, self._limits, self._watch) as execution:
                if self._started is not None:
                    self._started(execution.machine)
                while True:
                    await self._room.acquire()
                    bundle = await execution.next()
                    self._queue.put(bundle)
                    if bundle is None:
                        return
        except asyncio.CancelledError:
            self._queue.put(None)
        except Exception as error:
            self._queue.put(error)
