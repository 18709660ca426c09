"""Generators of object references: what streaming calls return."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from typing import TYPE_CHECKING, Any, Generic, NoReturn, TypeVar

if TYPE_CHECKING:
    from ray_async._core.object_ref import ObjectRef

__all__ = ("DynamicObjectRefGenerator", "ObjectRefGenerator")

R = TypeVar("R")


class ObjectRefGenerator(Generic[R]):
    """References to the items that a remote generator yields, as they come; sync and async.

    An error of the generator is an item of its own, whose reference raises it; then the stream ends.

    Args:
        session: the process's session.
        cursor: the reading end of the stream.

    Example:
        >>> async for ref in count.remote(3):
        ...     print(await ref)
    """

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
        return self._next(None)

    def _next(self, timeout: float | None) -> Any:
        current = self._cursor.current
        if current is None:
            raise StopIteration
        ready, _ = self._session.wait([current], 1, timeout, True)
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
        await self._session.loops.settled(current)
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
        raise TypeError(
            "an ObjectRefGenerator cannot be pickled: pass the references that it yields, or collect them first"
        )

    def send(self, value: object) -> NoReturn:
        """Refuse: the generator runs elsewhere and takes nothing."""
        raise NotImplementedError("send() is not possible: the generator runs in another process")

    def throw(self, *args: object) -> NoReturn:
        """Refuse: cancel the task instead."""
        raise NotImplementedError("throw() is not possible: use ray.cancel(generator)")

    def close(self) -> NoReturn:
        """Refuse: cancel the task instead."""
        raise NotImplementedError("close() is not possible: use ray.cancel(generator)")

    async def asend(self, value: object) -> NoReturn:
        """Refuse: the generator runs elsewhere and takes nothing."""
        raise NotImplementedError("asend() is not possible: the generator runs in another process")

    async def athrow(self, *args: object) -> NoReturn:
        """Refuse: cancel the task instead."""
        raise NotImplementedError("athrow() is not possible: use ray.cancel(generator)")

    async def aclose(self) -> NoReturn:
        """Refuse: cancel the task instead."""
        raise NotImplementedError("aclose() is not possible: use ray.cancel(generator)")


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
