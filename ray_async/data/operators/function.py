"""User functions: called so that an error says whose it is, and made of classes where a stage has actors."""

from __future__ import annotations

import asyncio
import contextlib
import inspect
import itertools
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

__all__ = ("FUNCTION_NOTE", "Collected", "UserFunction")

#: How the note begins that is put on errors of user functions.
FUNCTION_NOTE = "raised by the function of "
_END_SIGNALS = (StopIteration, StopAsyncIteration, GeneratorExit)


@dataclass
class UserFunction:
    """A function, or a class whose instances are called.

    Attributes:
        function: the function, the class, or a callable object.
        stage: the stage's name, for errors.
        args: further positional arguments of each call.
        kwargs: keyword arguments of each call.
        constructor_args: positional arguments of the class.
        constructor_kwargs: keyword arguments of the class.
        at_once: calls of an async function that run at a time.
    """

    function: Any
    stage: str
    args: tuple[Any, ...] = ()
    kwargs: dict[str, Any] = field(default_factory=dict)
    constructor_args: tuple[Any, ...] = ()
    constructor_kwargs: dict[str, Any] = field(default_factory=dict)
    at_once: int = 100
    _call: Callable[..., Any] | None = field(default=None, repr=False)
    _loop: asyncio.Runner | None = field(default=None, repr=False)

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_call": None, "_loop": None}

    def prepare(self) -> None:
        """Make the instance of a class; what its constructor raises is the stage's error."""
        if self._call is not None:
            return
        function: Any = self.function
        if not inspect.isclass(function):
            self._call = function
            return
        make: Any = function
        try:
            self._call = make(*self.constructor_args, **self.constructor_kwargs)
        except Exception as error:
            error.add_note(f"{FUNCTION_NOTE}{self.stage}, when its class was made")
            raise

    @property
    def is_async(self) -> bool:
        target = self.function.__call__ if inspect.isclass(self.function) else self.function
        call = getattr(target, "__call__", target)  # noqa: B004 - an object's own method is looked at, not called
        return any(
            check(candidate)
            for check in (inspect.iscoroutinefunction, inspect.isasyncgenfunction)
            for candidate in (target, call)
        )

    def over(self, values: Iterable[Any]) -> Iterator[Any]:
        """What the function returns for each value, in order."""
        self.prepare()
        if self.is_async:
            yield from self._over_async(values)
            return
        call, args, kwargs = self._call, self.args, self.kwargs
        assert call is not None
        # While the stages after it work, it holds neither value nor result: a hundred stages hold one batch.
        for value in values:
            try:
                results = [call(value, *args, **kwargs)]
            except Exception as error:
                raise self._blamed(error) from error.__cause__
            except GeneratorExit as error:
                raise self._blamed(error) from None
            del value
            yield results.pop()

    @property
    def is_generator(self) -> bool:
        """Whether each call yields any number of results."""
        target = self.function.__call__ if inspect.isclass(self.function) else self.function
        call = getattr(target, "__call__", target)  # noqa: B004 - an object's own method is looked at, not called
        return any(
            check(candidate)
            for check in (inspect.isgeneratorfunction, inspect.isasyncgenfunction)
            for candidate in (target, call)
        )

    def items(self, result: Any) -> Iterator[Any]:
        """The items of an iterable that the function returned; errors of a generator are the function's."""
        if isinstance(result, Collected):
            yield from result.items
            return
        iterator = iter(result)
        while True:
            try:
                item = next(iterator)
            except StopIteration:
                return
            except (Exception, GeneratorExit) as error:
                raise self._blamed(error) from error.__cause__
            yield item

    def _blamed(self, error: BaseException) -> BaseException:
        if isinstance(error, _END_SIGNALS):
            kind = type(error).__name__
            error = RuntimeError(
                f"the function raised {kind}, which would end the stage without its remaining rows; "
                "for instance next() of an iterator that is empty does so"
            )
        error.add_note(f"{FUNCTION_NOTE}{self.stage}")
        return error

    def _over_async(self, values: Iterable[Any]) -> Iterator[Any]:
        """Calls that run at the same time on an event loop; what an async generator yields is taken as it comes."""
        with self._runner() as runner:
            iterator = iter(values)
            waiting: deque[asyncio.Task[Any] | Stream] = deque()
            try:
                while True:
                    # Not on the loop: where the values come from there may be another loop, of an async function's.
                    more = deque(itertools.islice(iterator, self.at_once - len(waiting)))
                    if more:
                        runner.run(self._begin(more, waiting))
                    if not waiting:
                        return
                    head = waiting[0]
                    yield Collected(head.items(runner)) if isinstance(head, Stream) else runner.run(_awaited(head))
                    waiting.popleft()
            finally:
                runner.run(_cancelled([entry.task if isinstance(entry, Stream) else entry for entry in waiting]))

    @contextlib.contextmanager
    def _runner(self) -> Iterator[asyncio.Runner]:
        """The loop of a call; of an instance one for all: what it keeps, such as connections, is bound to it."""
        if not inspect.isclass(self.function):
            with asyncio.Runner() as runner:
                yield runner
            return
        if self._loop is None:
            self._loop = asyncio.Runner()
        yield self._loop

    async def _begin(self, values: deque[Any], waiting: deque[asyncio.Task[Any] | Stream]) -> None:
        while values:
            waiting.append(self._started(values.popleft()))

    def _started(self, value: Any) -> asyncio.Task[Any] | Stream:
        assert self._call is not None
        try:
            result = self._call(value, *self.args, **self.kwargs)
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


async def _awaited(task: asyncio.Task[Any]) -> Any:
    return await task


async def _cancelled(tasks: list[asyncio.Task[Any]]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


class Stream:
    """An async generator that runs on a loop, one item ahead of who takes them.

    Args:
        source: the generator.
        blamed: makes an error of the function of what it raises.
    """

    def __init__(self, source: AsyncIterator[Any], blamed: Callable[[BaseException], BaseException]) -> None:
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
