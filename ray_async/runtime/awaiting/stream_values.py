"""Values of a stream's items, without a reference for each."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from ray_async._core.submission import ENDED, UNREADY

if TYPE_CHECKING:
    from ray_async.runtime.awaiting.generators import ObjectRefGenerator

__all__ = ("StreamValues",)

R = TypeVar("R")
_ITEMS_IN_A_ROW = 128  # that are taken without a wait before others on the event loop have a turn


class StreamValues(Generic[R]):
    """Iterator over the values of a remote generator, sync and async.

    Args:
        generator: whose items are read.
        session: the process's session.
        cursor: the reading end of the stream.
    """

    def __init__(self, generator: ObjectRefGenerator[R], session: Any, cursor: Any) -> None:
        self._generator = generator
        self._session = session
        self._cursor = cursor
        self._take = cursor.take
        self._in_a_row = 0

    def __iter__(self) -> Iterator[R]:
        return self

    def __next__(self) -> R:
        """Wait for the next value.

        Raises:
            StopIteration: the stream is over.
        """
        value = self._take()
        if value is UNREADY:
            try:
                value = self._session.get([next(self._generator)], None)[0]
            except BaseException:
                del self  # see ObjectRefGenerator
                raise
        elif value is ENDED:
            raise StopIteration
        return value  # type: ignore[no-any-return]

    def __aiter__(self) -> AsyncIterator[R]:
        return self

    async def __anext__(self) -> R:
        value = self._take()
        if value is UNREADY:
            self._in_a_row = 0
            try:
                value = await (await self._generator.__anext__())
            except BaseException:
                del self  # see ObjectRefGenerator
                raise
        elif value is ENDED:
            raise StopAsyncIteration
        else:
            self._in_a_row += 1
            if self._in_a_row == _ITEMS_IN_A_ROW:
                self._in_a_row = 0
                try:
                    await asyncio.sleep(0)
                except BaseException:
                    del self
                    raise
        return value  # type: ignore[no-any-return]

    def close(self) -> None:
        """Read no more; see `ObjectRefGenerator.close`."""
        self._generator.close()

    async def aclose(self) -> None:
        """Read no more; see `ObjectRefGenerator.aclose`."""
        await self._generator.aclose()
