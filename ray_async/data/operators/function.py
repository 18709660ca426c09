"""User functions: called so that an error says whose it is, and made of classes where a stage has actors."""

from __future__ import annotations

import asyncio
import contextlib
import inspect
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from ray_async.data.operators.coroutines import Collected, Coroutines, new_runner

__all__ = ("FUNCTION_NOTE", "UserFunction")

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
        call = self._call
        assert call is not None
        if self.args or self.kwargs:
            call = partial(_with_rest, call, self.args, self.kwargs)
        with self._runner() as runner:
            yield from Coroutines(call, iter(values), self.at_once, self._blamed).results(runner)

    @contextlib.contextmanager
    def _runner(self) -> Iterator[asyncio.Runner]:
        """The loop of a call; of an instance one for all: what it keeps, such as connections, is bound to it."""
        if not inspect.isclass(self.function):
            with new_runner() as runner:
                yield runner
            return
        if self._loop is None:
            self._loop = new_runner()
        yield self._loop


def _with_rest(call: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any], value: Any) -> Any:
    return call(value, *args, **kwargs)
