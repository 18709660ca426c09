"""User functions: called so that an error says whose it is, and made of classes where a stage has actors."""

from __future__ import annotations

import asyncio
import inspect
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

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_call": None}

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
        for value in values:
            try:
                result = call(value, *args, **kwargs)
            except Exception as error:
                raise self._blamed(error) from error.__cause__
            except GeneratorExit as error:
                raise self._blamed(error) from None
            yield result

    def items(self, result: Any) -> Iterator[Any]:
        """The items of an iterable that the function returned; errors of a generator are the function's."""
        iterator = iter(result.items if isinstance(result, Collected) else result)
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
        """Calls that run at the same time on an event loop; async generators are collected to lists."""
        with asyncio.Runner() as runner:
            iterator = iter(values)
            waiting: list[asyncio.Task[Any]] = []
            try:
                while True:
                    runner.run(self._fill(waiting, iterator))
                    if not waiting:
                        return
                    yield runner.run(self._first(waiting))
            finally:
                runner.run(self._cancel(waiting))

    async def _fill(self, waiting: list[asyncio.Task[Any]], values: Iterator[Any]) -> None:
        while len(waiting) < self.at_once:
            try:
                value = next(values)
            except StopIteration:
                return
            waiting.append(asyncio.ensure_future(self._one(value)))

    async def _first(self, waiting: list[asyncio.Task[Any]]) -> Any:
        return await waiting.pop(0)

    async def _cancel(self, waiting: list[asyncio.Task[Any]]) -> None:
        for task in waiting:
            task.cancel()
        await asyncio.gather(*waiting, return_exceptions=True)

    async def _one(self, value: Any) -> Any:
        assert self._call is not None
        try:
            result = self._call(value, *self.args, **self.kwargs)
            if isinstance(result, AsyncIterator):
                return Collected([item async for item in result])
            return await result
        except (Exception, GeneratorExit) as error:
            raise self._blamed(error) from error.__cause__


class Collected:
    """What an async generator has yielded.

    Attributes:
        items: its items.
    """

    def __init__(self, items: list[Any]) -> None:
        self.items = items
