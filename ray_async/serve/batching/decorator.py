"""The decorator `batch`."""

from __future__ import annotations

import asyncio
import functools
import inspect
import numbers
import weakref
from collections.abc import AsyncIterator, Callable
from typing import Any, overload

from ray_async.serve.batching.batcher import END, Batcher, BatchSettings, Pending
from ray_async.serve.batching.running import RunningBatches

__all__ = ("batch",)


@overload
def batch(function: Callable[..., Any], /) -> Any: ...


@overload
def batch(
    *,
    max_batch_size: float = 10,
    batch_wait_timeout_s: float = 0.01,
    max_concurrent_batches: float = 1,
    batch_size_fn: Callable[[list[Any]], Any] | None = None,
) -> Callable[[Callable[..., Any]], Any]: ...


def batch(
    function: Callable[..., Any] | None = None,
    /,
    max_batch_size: float = 10,
    batch_wait_timeout_s: float = 0.01,
    max_concurrent_batches: float = 1,
    batch_size_fn: Callable[[list[Any]], Any] | None = None,
) -> Any:
    """Run calls with one item each as one call with lists; works with and without arguments.

    The function gets one list for each parameter, and returns a list with one result for each item, or is an async
    generator that yields such lists. An exception in an item's place is raised for its caller alone. A batch has the
    items of one multiplexed model. Items whose callers have gone are left out.

    Args:
        function: An async function or method.
        max_batch_size: The most items in a batch; 1 or more.
        batch_wait_timeout_s: Seconds that a batch's first item waits for others.
        max_concurrent_batches: How many batches may run at a time; 1 or more.
        batch_size_fn: Gives the size of a list of items (of their first arguments), where that is not their number.

    Returns:
        The function for single items. Its ``set_max_batch_size`` and ``set_batch_wait_timeout_s`` change it while it
        is in use.

    Raises:
        TypeError: Not an async function, or a value of the wrong type.
        ValueError: A value out of range.

    Example:
        >>> @serve.batch(max_batch_size=32)
        ... async def predict(self, images):
        ...     return self.model(np.stack(images)).tolist()
    """
    settings = BatchSettings(
        _whole("max_batch_size", max_batch_size),
        _seconds("batch_wait_timeout_s", batch_wait_timeout_s),
        _whole("max_concurrent_batches", max_concurrent_batches),
        batch_size_fn,
    )
    if batch_size_fn is not None and not callable(batch_size_fn):
        raise TypeError(f"batch_size_fn must be a callable or None, but is {batch_size_fn!r}")

    def decorate(target: Callable[..., Any]) -> Any:
        streams = inspect.isasyncgenfunction(target)
        if not streams and not inspect.iscoroutinefunction(target):
            raise TypeError(f"@serve.batch is for async functions and methods, not for {target!r}")
        return _wrapped(Batched(target, settings, streams))

    return decorate if function is None else decorate(function)


class Batched:
    """A function whose calls are batched, with a batcher for each object and loop that uses it.

    Args:
        function: The function with lists.
        settings: How its batches are formed.
        streams: Whether it is an async generator.
    """

    def __init__(self, function: Callable[..., Any], settings: BatchSettings, streams: bool) -> None:
        self.function = function
        self.settings = settings
        self.streams = streams
        self._signature = inspect.signature(function)
        kinds = {parameter.kind for parameter in self._signature.parameters.values()}
        if kinds & {inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD}:
            raise TypeError("@serve.batch needs a function whose parameters are listed: without *args and **kwargs")
        self._names = tuple(self._signature.parameters)
        # How many positional arguments give each name its value.
        self._all_positional = -1 if inspect.Parameter.KEYWORD_ONLY in kinds else len(self._names)
        # A method's first parameter is the object that it belongs to.
        home = function.__qualname__.rpartition(".")[0]
        self._is_method = bool(home) and not home.endswith("<locals>") and bool(kinds)
        self._made: dict[int, Batcher] = {}
        self._all: weakref.WeakSet[Batcher] = weakref.WeakSet()

    def __reduce__(self) -> Any:
        return Batched, (self.function, self.settings, self.streams)

    def submit(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[Batcher, Pending]:
        """Let a call wait for its batch.

        Raises:
            TypeError: Arguments that the function does not take.
        """
        if kwargs or len(args) != self._all_positional:
            arguments = dict(self._signature.bind(*args, **kwargs).arguments)
        else:  # in a fraction of the time
            arguments = dict(zip(self._names, args, strict=True))
        owner = arguments.pop(next(iter(arguments))) if self._is_method else None
        batcher = self._batcher(owner)
        return batcher, batcher.submit(arguments)

    def _batcher(self, owner: Any) -> Batcher:
        loop = asyncio.get_running_loop()
        made = self._made if owner is None else _batchers_of(owner, self.function.__qualname__)
        batcher = made.get(id(loop))
        if batcher is None or batcher.loop is not loop:
            for known in [known for known, other in made.items() if other.loop.is_closed()]:
                del made[known]
            function = self.function if owner is None else functools.partial(self.function, owner)
            batcher = made[id(loop)] = Batcher(self.settings, function, self.streams, loop)
            self._all.add(batcher)
        return batcher

    async def call(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Wait for a single item's result."""
        batcher, item = self.submit(args, kwargs)
        try:
            return await item.receive()
        except asyncio.CancelledError:
            item.closed = True
            batcher.left(item)
            raise

    async def stream(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> AsyncIterator[Any]:
        """Wait for a single item's results."""
        batcher, item = self.submit(args, kwargs)
        try:
            while (result := await item.receive()) is not END:
                yield result
        finally:
            item.closed = True
            batcher.left(item)

    def set_max_batch_size(self, size: int) -> None:
        """Allow batches of another size, those that are being formed included."""
        self.settings.max_batch_size = _whole("max_batch_size", size)
        self._adjust()

    def set_batch_wait_timeout_s(self, seconds: float) -> None:
        """Let batches wait for another time."""
        self.settings.batch_wait_timeout_s = _seconds("batch_wait_timeout_s", seconds)
        self._adjust()

    def max_batch_size(self) -> int:
        """The most items in a batch."""
        return self.settings.max_batch_size

    def batch_wait_timeout_s(self) -> float:
        """Seconds that a batch's first item waits for others."""
        return self.settings.batch_wait_timeout_s

    def running(self) -> RunningBatches:
        """The batches that run now, or have run last, of all objects."""
        return RunningBatches([began for batcher in list(self._all) for began in batcher.began])

    async def is_alive(self) -> bool:
        """Whether calls are taken: always, since each batch has a task of its own."""
        return True

    async def stacks(self) -> str:
        """Where the batches that run are, as text."""
        return "".join(batcher.stacks for batcher in list(self._all))

    def _adjust(self) -> None:
        for batcher in list(self._all):
            if not batcher.loop.is_closed():
                batcher.adjust()


def _batchers_of(owner: Any, name: str) -> dict[int, Batcher]:
    known = vars(owner)
    key = f"_serve_batchers:{name}"
    made: dict[int, Batcher] = known[key] if key in known else known.setdefault(key, {})
    return made


def _wrapped(batched: Batched) -> Any:
    # These travel by value with the user's class: they refer to nothing of this module, so that no copy of it does.
    wrapper: Any
    if batched.streams:

        @functools.wraps(batched.function)
        async def stream(*args: Any, **kwargs: Any) -> AsyncIterator[Any]:
            results = batched.stream(args, kwargs)
            try:
                async for result in results:
                    yield result
            finally:
                await results.aclose()  # type: ignore[attr-defined]

        wrapper = stream
    else:

        @functools.wraps(batched.function)
        async def call(*args: Any, **kwargs: Any) -> Any:
            return await batched.call(args, kwargs)

        wrapper = call
    wrapper.set_max_batch_size = batched.set_max_batch_size
    wrapper.set_batch_wait_timeout_s = batched.set_batch_wait_timeout_s
    wrapper._get_max_batch_size = batched.max_batch_size
    wrapper._get_batch_wait_timeout_s = batched.batch_wait_timeout_s
    wrapper._get_curr_iteration_start_times = batched.running
    wrapper._is_batching_task_alive = batched.is_alive
    wrapper._get_handling_task_stack = batched.stacks
    return wrapper


def _number(value: Any) -> float | None:
    """The number that an option is; None for what is none."""
    return None if isinstance(value, bool) or not isinstance(value, numbers.Real) else float(value)


def _whole(name: str, value: Any) -> int:
    number = _number(value)
    if number is None or not number.is_integer():
        raise TypeError(f"{name} must be an integer, but is {value!r}")
    if number < 1:
        raise ValueError(f"{name} must be 1 or more, but is {value!r}")
    return int(number)


def _seconds(name: str, value: Any) -> float:
    number = _number(value)
    if number is None:
        raise TypeError(f"{name} must be a number of seconds, but is {value!r}")
    if not number >= 0:
        raise ValueError(f"{name} must be 0 or more, but is {value!r}")
    return number
