"""Threads for sync handlers: a pool that belongs to one loop, and needs no locks therefore."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from queue import SimpleQueue
from typing import Any

__all__ = ("Job", "Threads")


class Job:
    """One call on its way through a thread; made by `Threads.submit`, used on the loop but for `_run`.

    Attributes:
        done: Whether its result is there, or it was withdrawn.
    """

    __slots__ = ("_call", "_claim", "_error", "_loop", "_result", "_waiter", "done")

    def __init__(self, call: Callable[[], Any], loop: asyncio.AbstractEventLoop) -> None:
        self.done = False
        self._call = call
        self._claim = [True]  # taken by the thread that begins the call, or by who withdraws it
        self._loop = loop
        self._waiter: asyncio.Future[None] = loop.create_future()
        self._result: Any = None
        self._error: BaseException | None = None

    def withdraw(self) -> bool:
        """Keep the call from beginning; False when a thread has begun it."""
        if not _take(self._claim):
            return False
        self.done = True
        return True

    async def wait(self) -> None:
        """Wait until a thread is done with the call; again, after a cancel."""
        if not self.done:
            if self._waiter.done():
                self._waiter = self._loop.create_future()
            await self._waiter

    @property
    def error(self) -> BaseException | None:
        """What the call has raised; None where it has not, or is not done."""
        return self._error

    def result(self) -> Any:
        """What the call has returned.

        Raises:
            BaseException: What it has raised.
        """
        if self._error is not None:
            raise self._error
        return self._result

    def _run(self) -> None:
        if not _take(self._claim):
            return
        try:
            self._result = self._call()
        except StopIteration as error:  # which would end the coroutine that waits for it
            self._error = RuntimeError("a handler raised StopIteration")
            self._error.__cause__ = error
        except BaseException as error:
            self._error = error

    def _finish(self) -> None:
        self.done = True
        if not self._waiter.done():
            self._waiter.set_result(None)


def _take(claim: list[bool]) -> bool:
    """Take what only one can have; an atomic step of Python's."""
    try:
        return claim.pop()
    except IndexError:
        return False


class Threads:
    """Runs calls in threads, which are started as they are needed.

    Args:
        limit: The most threads.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._jobs: SimpleQueue[Job | None] = SimpleQueue()
        self._count = 0
        self._pending = 0

    def submit(self, call: Callable[[], Any]) -> Job:
        """Run a call in a thread."""
        job = Job(call, asyncio.get_running_loop())
        self._pending += 1
        if self._pending > self._count and self._count < self._limit:
            self._count += 1
            threading.Thread(target=self._work, name=f"serve-handler_{self._count}", daemon=True).start()
        self._jobs.put(job)
        return job

    def close(self) -> None:
        """End the threads, once they have done what was asked of them."""
        for _ in range(self._count):
            self._jobs.put(None)
        self._count = self._limit = 0

    def _work(self) -> None:
        while (job := self._jobs.get()) is not None:
            job._run()
            try:
                job._loop.call_soon_threadsafe(self._done, job)
            except RuntimeError:  # the loop is closed: nobody waits any more
                return
            del job

    def _done(self, job: Job) -> None:
        self._pending -= 1
        job._finish()
