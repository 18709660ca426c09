"""Generators of object references: what streaming calls return."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator, Iterator
from typing import TYPE_CHECKING, Any, Generic, NoReturn, TypeVar

if TYPE_CHECKING:
    from ray_async._core.object_ref import ObjectRef
    from ray_async.runtime.awaiting.stream_values import StreamValues

__all__ = ("DynamicObjectRefGenerator", "ObjectRefGenerator")

R = TypeVar("R")


class ObjectRefGenerator(Generic[R]):
    """References to the items that a remote generator yields, as they come; sync and async.

    An error of the generator is an item of its own, whose reference raises it; then the stream ends.

    A task that nobody reads any more is cancelled, with what it has started: when this generator is closed, or dropped
    (as ``break`` drops it) and nothing refers to `completed` either. ``_generator_detached=True`` lets it run on.

    Args:
        session: the process's session.
        cursor: the reading end of the stream.

    Example:
        >>> async for ref in count.remote(3):
        ...     print(await ref)
    """

    # A frame that waits lets go of the stream before an exception leaves it: the exception may be kept, and its frames
    # with it, by a debugger, a logger or a cycle that asyncio made, long after the reader has gone.

    def __init__(self, session: Any, cursor: Any) -> None:
        self._session = session
        self._cursor = cursor

    def __iter__(self) -> Iterator[ObjectRef[R]]:
        return self

    def __next__(self) -> Any:
        """Wait for the next item and return its reference.

        Raises:
            StopIteration: the stream is over.
        """
        try:
            return self._next(None)
        except BaseException:
            del self
            raise

    def _next(self, timeout: float | None) -> Any:
        from ray_async._core import store  # with pickle and more, which the package's import does without

        current = self._cursor.current
        if current is None:
            raise StopIteration
        try:
            ready, _ = store.wait(self._session.arena, [current], 1, timeout, True)
        except BaseException:
            del self, current
            raise
        if not ready:
            from ray_async.exceptions import GetTimeoutError

            raise GetTimeoutError(f"the generator's next item did not come in {timeout} seconds")
        ref = self._cursor.advance()
        if ref is None:
            raise StopIteration
        return ref

    def __aiter__(self) -> AsyncIterator[ObjectRef[R]]:
        return self

    async def __anext__(self) -> ObjectRef[R]:
        current = self._cursor.current
        if current is None:
            raise StopAsyncIteration
        try:
            await self._session.loops.settled(current)
        except BaseException:
            del self, current
            raise
        ref = self._cursor.advance()
        if ref is None:
            raise StopAsyncIteration
        return ref  # type: ignore[no-any-return]

    def completed(self) -> Any:
        """A reference that is ready when the task has ended; getting it raises what the task raised."""
        return self._cursor.done

    def next_ready(self) -> bool:
        """Whether ``next`` would give an item, or an error, at once; not whether it would stop."""
        current = self._cursor.current
        if current is None:
            return False
        self._await_end(current)
        return bool(self._session.is_ready(current)) and not self._session.is_end(current)

    def is_finished(self) -> bool:
        """Whether all items were taken and the task has ended."""
        current = self._cursor.current
        return current is None or (self._await_end(current) and self._session.is_end(current))

    def _await_end(self, current: Any) -> bool:
        """Whether the task has ended; if so, what its producer is about to put behind the last item is there, too."""
        ended = bool(self._session.is_ready(self._cursor.done))
        if ended and not self._session.is_ready(current):
            self._session.wait([current], 1, None, False)
        return ended

    def task_id(self) -> Any:
        """Id of the task that yields the items."""
        return self._cursor.done.task_id()

    def _get_next_ref(self) -> Any:
        return self._cursor.current

    @property
    def _generator_ref(self) -> Any:
        return self._cursor.done

    def __hash__(self) -> int:
        return hash(self._cursor.done)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, ObjectRefGenerator) and self._cursor.done == other._cursor.done

    def __repr__(self) -> str:
        return f"ObjectRefGenerator({self._cursor.done.hex()})"

    def __reduce__(self) -> NoReturn:
        from ray_async.serialization.pickling import PicklingRefused

        raise PicklingRefused(
            "an ObjectRefGenerator cannot be pickled: pass the references that it yields, or collect them first"
        )

    def values(self) -> StreamValues[R]:
        """The items themselves, sync and async: what awaiting (or getting) each reference would give, at less cost.

        Both ways of reading may be mixed; an item is read once.

        Returns:
            An iterator. To leave it early, or to drop it, is to leave this generator.

        Raises:
            RayTaskError: While iterating: what the generator raised. The stream then ends.

        Example:
            >>> async for value in count.remote(3).values():
            ...     print(value)
        """
        from ray_async.runtime.awaiting.stream_values import StreamValues

        return StreamValues(self, self._session, self._cursor)

    def close(self) -> None:
        """Read no more: the task is cancelled, with what it has started, unless `_generator_detached` was set.

        Its generator is ended where it stands, its ``finally`` blocks run. Returns when the task has ended, as `close`
        of a local generator would; but on a running event loop, which must not stand still, at once. Does nothing when
        the stream is over, or closed already.

        Raises:
            NodeDiedError: The node is gone.

        Example:
            >>> with contextlib.closing(count.remote(10**9)) as numbers:
            ...     first = next(numbers)
        """
        if self._leave() and not _is_on_loop():
            self._session.wait([self._cursor.done], 1, None, False)

    async def aclose(self) -> None:
        """Do as `close`, and wait on the event loop until the task has ended.

        Example:
            >>> async with contextlib.aclosing(count.remote(10**9)) as numbers:
            ...     async for ref in numbers:
            ...         break
        """
        if self._leave():
            await self._session.loops.settled(self._cursor.done)

    def _leave(self) -> bool:
        """Read no more; whether the task was cancelled for that."""
        leaves = bool(self._cursor.leave())
        if leaves:
            self._session.cancel(self, False, True)
        return leaves

    def send(self, value: object) -> Any:
        """Return the next reference, as ``next`` does.

        Raises:
            NotImplementedError: A value other than None: the generator runs elsewhere and takes nothing.
        """
        if value is not None:
            raise NotImplementedError("send() is not possible: the generator runs in another process")
        return next(self)

    def throw(self, error: Any, value: Any = None, traceback: Any = None) -> NoReturn:
        """Close the generator, which does not see the exception, and raise it here."""
        self.close()
        raise _thrown(error, value, traceback)

    async def asend(self, value: object) -> Any:
        """Return the next reference, as ``anext`` does.

        Raises:
            NotImplementedError: A value other than None: the generator runs elsewhere and takes nothing.
        """
        if value is not None:
            raise NotImplementedError("asend() is not possible: the generator runs in another process")
        return await self.__anext__()

    async def athrow(self, error: Any, value: Any = None, traceback: Any = None) -> NoReturn:
        """Close the generator, which does not see the exception, and raise it here."""
        await self.aclose()
        raise _thrown(error, value, traceback)


def _thrown(error: Any, value: Any, traceback: Any) -> BaseException:
    if isinstance(error, type):
        value = value if isinstance(value, error) else error() if value is None else error(value)
    else:
        value = error
    thrown: BaseException = value if traceback is None else value.with_traceback(traceback)
    return thrown


def _is_on_loop() -> bool:
    """Whether this thread runs an event loop."""
    events = sys.modules.get("asyncio.events")
    return events is not None and events._get_running_loop() is not None


class DynamicObjectRefGenerator(Generic[R]):
    """The references that a task with ``num_returns="dynamic"`` made, all at once."""

    def __init__(self, refs: list[Any]) -> None:
        self._refs = refs

    def __iter__(self) -> Iterator[Any]:
        # The references leave one by one, so that what was taken and dropped is freed.
        while self._refs:
            yield self._refs.pop(0)

    def __len__(self) -> int:
        return len(self._refs)
