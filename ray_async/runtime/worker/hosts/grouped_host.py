"""Async actors with concurrency groups: an event loop for each group, so that one that blocks holds up no other.

Calls without a group run on the main thread's loop, where ``__init__`` ran. A thread of its own takes calls from the
actor's queue, since any of the loops may be held up.
"""

from __future__ import annotations

import asyncio
import threading
from contextvars import copy_context
from types import FrameType
from typing import TYPE_CHECKING

from ray_async._core.constants import WorkerFlag
from ray_async.runtime.worker.forked_child import runs_a_loop
from ray_async.runtime.worker.hosts.async_host import AsyncHost
from ray_async.runtime.worker.hosts.frames import running_definition
from ray_async.runtime.worker.stall_watch import StallWatch

if TYPE_CHECKING:
    from ray_async.runtime.worker.lost_interrupt import LostInterrupts
    from ray_async.runtime.worker.worker import Worker

__all__ = ("GroupedHost",)


class GroupLoop:
    """The event loop of one group, on a thread that ends with the process.

    Args:
        name: the group's.
        worker: the process.
    """

    def __init__(self, name: str, worker: Worker) -> None:
        from ray_async.machine.event_loop import new_event_loop

        self.loop = new_event_loop(worker.session.settings)
        self._worker = worker
        threading.Thread(target=self._run, name=f"ray::{name}", daemon=True).start()

    @runs_a_loop
    def _run(self) -> None:
        asyncio.set_event_loop(self.loop)
        self.loop.call_soon(StallWatch(self._worker.stall_after_s, running_definition).start)
        try:
            self.loop.run_forever()
        except SystemExit as error:  # exit_actor(), say, in an asyncio task that no call waits for
            self._worker.leave(error)


class GroupedHost(AsyncHost):
    """Runs the calls of an async actor on the loops of their groups.

    Args:
        worker: the process.
        queue: offset of the actor's queue.
        groups: concurrency groups and their sizes.
        limit: how many run at once outside of groups.
    """

    def __init__(self, worker: Worker, queue: int, groups: dict[str, int], limit: int) -> None:
        super().__init__(worker, queue, limit)
        self._gates.update({name: asyncio.Semaphore(size) for name, size in groups.items()})
        self._loops = {"": self._loop}
        for name in groups:
            self._loops[name] = GroupLoop(name, worker).loop
        self._cancels = object()  # another one whenever something was cancelled
        self._seen: dict[asyncio.AbstractEventLoop, object] = dict.fromkeys(self._loops.values(), self._cancels)
        for loop in self._loops.values():
            loop.call_soon_threadsafe(self._watch_cancels)

    async def _serve(self, leaving_flags: int) -> None:
        self._context = copy_context()  # with what __init__ has set
        self._over = asyncio.get_running_loop().create_future()
        self._stall.start()
        threading.Thread(target=self._hand_over, name="ray::calls", daemon=True).start()
        try:
            await self._over
        finally:
            self._stall.stop()

    def _hand_over(self) -> None:
        """Give calls to the loops of their groups until the process is to end."""
        for record in iter(lambda: self._executor.take(self._queue), 0):
            if self._own_slot.flags & WorkerFlag.CANCEL:
                self._spread_cancels()  # before what was called after the cancel
            try:
                group = self._group_of(record)
            except Exception as error:
                self._fail(record, None, error)
                continue
            loop = self._loops.get(group, self._loop)  # the main loop refuses those of no group
            loop.call_soon_threadsafe(self._start_on, loop, record)
        self._loop.call_soon_threadsafe(self._end)

    def _group_of(self, record: int) -> str:
        _, definition = self._executor.prepare(record)
        return self._executor.options(record).get("concurrency_group") or definition.group or ""

    def _start_on(self, loop: asyncio.AbstractEventLoop, record: int) -> None:
        self._tasks[record] = loop.create_task(self._run(record), context=self._context.copy())

    def _end(self) -> None:
        if self._over is not None and not self._over.done():
            self._over.set_result(None)

    def _consider_pumping(self) -> None:
        """There is nothing to be pumped."""

    def _pump(self) -> None:
        """The loop's wake-ups are for its awaited references only: calls come from the thread that takes them."""

    def _watch_cancels(self) -> None:
        self._worker.session.loops.binding().before_resuming(self._see_cancels)

    def _see_cancels(self) -> None:
        if self._own_slot.flags & WorkerFlag.CANCEL:
            self._spread_cancels()
        loop, cancels = asyncio.get_running_loop(), self._cancels
        if self._seen[loop] is not cancels:
            self._seen[loop] = cancels
            self._look_for_cancels()

    def _spread_cancels(self) -> None:
        """Have each loop look for what was cancelled, before all that it is given from now on."""
        self._own_slot.clear_flag(WorkerFlag.CANCEL)
        self._cancels = object()
        for loop in self._loops.values():
            loop.call_soon_threadsafe(self._see_cancels)

    def interrupted(self, frame: FrameType | None, lost: LostInterrupts) -> None:
        """Handle the node's signal: some record is cancelled, on whichever loop.

        Args:
            frame: where the main thread is.
            lost: what sees to interrupts that Python drops.

        Raises:
            CancelledError: in user code of the very call that is cancelled, which may hold up the main loop.
        """
        try:
            super().interrupted(frame, lost)
        finally:
            self._spread_cancels()
