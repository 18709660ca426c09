"""Coroutines of a user's function: many run at the same time, and their results come in the order of their values."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable, Generator, Iterator
from itertools import islice
from typing import Any

__all__ = ("Collected", "Coroutines", "new_runner")

#: Seconds for which a result waits for others: to enter and leave a loop takes as long as several results do.
_GRACE = 0.005

Blamed = Callable[[BaseException], BaseException]


def new_runner() -> asyncio.Runner:
    """A loop: uvloop's where that is installed, in which sockets cost half."""
    try:
        import uvloop
    except ImportError:
        return asyncio.Runner()
    return asyncio.Runner(loop_factory=uvloop.new_event_loop)


class Coroutines:
    """Calls of an async function, so many at once; the loop runs while somebody waits for results.

    Values are taken while the loop stands: where they come from there may be another loop, of an async function's. So
    that calls can begin while it runs, a quarter more of them are taken than may run.

    Args:
        call: the function.
        values: its arguments.
        at_once: calls that run at a time.
        blamed: makes an error of the function of what it raises.
    """

    def __init__(self, call: Callable[[Any], Any], values: Iterator[Any], at_once: int, blamed: Blamed) -> None:
        self._call = call
        self._values = values
        self._at_once = at_once
        self._blamed = blamed
        self._taken: deque[Any] = deque()
        self._are_all = False
        self._waiting: deque[asyncio.Task[Any] | Stream] = deque()

    def results(self, runner: asyncio.Runner) -> Generator[Any, None, None]:
        """What the calls return, in order; of an async generator, a `Collected` of what it yields."""
        try:
            while True:
                self._take()
                if not self._taken and not self._waiting:
                    return
                yield from runner.run(self._next())
                if not self._waiting:
                    continue
                head = self._waiting[0]
                if isinstance(head, Stream):
                    yield Collected(head.items(runner))
                    self._waiting.popleft()
        finally:
            runner.run(self._cancelled())

    def _take(self) -> None:
        room = self._at_once + self._at_once // 4 - len(self._waiting) - len(self._taken)
        more = list(islice(self._values, room))
        self._are_all = len(more) < room
        self._taken += more

    async def _next(self) -> list[Any]:
        """The results that are there, waiting for the first, up to a generator, or to where values are wanted."""
        found: list[Any] = []
        wake = Wake()
        try:
            while self._begin() and (self._are_all or len(self._waiting) == self._at_once):
                head = self._waiting[0]
                if isinstance(head, Stream):
                    break
                if not head.done():
                    if not await wake.by(head, None if not found else _GRACE):
                        break
                    continue
                found.append(head.result())
                self._waiting.popleft()
        finally:
            wake.close()
        return found

    def _begin(self) -> int:
        """Begin as many calls as may run; how many there are."""
        while self._taken and len(self._waiting) < self._at_once:
            self._waiting.append(self._started(self._taken.popleft()))
        return len(self._waiting)

    def _started(self, value: Any) -> asyncio.Task[Any] | Stream:
        try:
            result = self._call(value)
        except (Exception, GeneratorExit) as error:
            raise self._blamed(error) from error.__cause__
        if isinstance(result, AsyncIterator):
            return Stream(result, self._blamed)
        return asyncio.ensure_future(self._one(result))

    async def _one(self, result: Any) -> Any:
        try:
            return await result
        except (Exception, GeneratorExit) as error:
            raise self._blamed(error) from error.__cause__

    async def _cancelled(self) -> None:
        tasks = [entry.task if isinstance(entry, Stream) else entry for entry in self._waiting]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


class Wake:
    """Waits for tasks one after the other, for so long since the first wait that had an end.

    A timer for all waits, where `asyncio.wait` would make one, and a list of callbacks, for each.
    """

    def __init__(self) -> None:
        self._timer: asyncio.TimerHandle | None = None
        self._over = False
        self._future: asyncio.Future[None] | None = None

    async def by(self, task: asyncio.Task[Any], seconds: float | None) -> bool:
        """Wait until the task has ended, whatever its result; False when the time is over."""
        loop = asyncio.get_running_loop()
        if seconds is not None and self._timer is None:
            self._timer = loop.call_later(seconds, self._end)
        if self._over:
            return False
        self._future = loop.create_future()
        task.add_done_callback(self._wake)
        try:
            await self._future
        finally:
            task.remove_done_callback(self._wake)
        return task.done()

    def close(self) -> None:
        """Stop the timer."""
        if self._timer is not None:
            self._timer.cancel()

    def _end(self) -> None:
        self._over = True
        self._wake(None)

    def _wake(self, _: object) -> None:
        if self._future is not None and not self._future.done():
            self._future.set_result(None)


class Stream:
    """An async generator that runs on a loop, one item ahead of who takes them.

    Args:
        source: the generator.
        blamed: makes an error of the function of what it raises.
    """

    def __init__(self, source: AsyncIterator[Any], blamed: Blamed) -> None:
        self._source = source
        self._blamed = blamed
        self._queue: asyncio.Queue[tuple[str, Any]] = asyncio.Queue(1)
        self.task = asyncio.ensure_future(self._pump())

    async def _pump(self) -> None:
        try:
            async for item in self._source:
                await self._queue.put(("item", item))
        except (Exception, GeneratorExit) as error:
            await self._queue.put(("error", self._blamed(error)))
        else:
            await self._queue.put(("end", None))

    def items(self, runner: asyncio.Runner) -> Iterator[Any]:
        """What it yields, for a thread that runs the loop while it waits."""
        while True:
            kind, item = runner.run(self._queue.get())
            if kind == "end":
                return
            if kind == "error":
                raise item
            yield item


class Collected:
    """What an async generator yields.

    Attributes:
        items: its items, as they come.
    """

    def __init__(self, items: Iterator[Any]) -> None:
        self.items = items
