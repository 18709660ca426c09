"""References of a set as they become ready, on an event loop, without a task for each and without reading them."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import Any

from ray_async._core import store

__all__ = ("Arrivals",)


class _Watch:
    """Stands for one reference in the loop's waiter, which takes it for a future."""

    __slots__ = ("arrivals", "index")

    def __init__(self, arrivals: Arrivals, index: int) -> None:
        self.arrivals = arrivals
        self.index = index

    def done(self) -> bool:
        """Never: whoever asks shall say what has come."""
        return False

    def set_result(self, _: None) -> None:
        """The reference is ready."""
        self.arrivals.arrived(self.index)

    def set_exception(self, error: BaseException) -> None:
        """The node is gone."""
        self.arrivals.failed(error)


class Arrivals:
    """Watches references until they are ready or `close` is called.

    Args:
        session: whose references they are.
        refs: each once.
    """

    def __init__(self, session: Any, refs: list[Any]) -> None:
        self._refs = refs
        self._arrived: deque[int] = deque()
        self._watches: dict[int, _Watch] = {}
        self._error: BaseException | None = None
        self._changed: asyncio.Future[None] | None = None
        self._waiter = session.loops.binding().waiter
        for index, ref in enumerate(refs):
            watch = _Watch(self, index)
            # A ring that wakes too early, or for what is ready already, is not asked: the store is.
            if store.is_ready(session.arena, ref) or not self._waiter.watch(ref, watch):
                self._arrived.append(index)
            else:
                self._watches[index] = watch

    def arrived(self, index: int) -> None:
        """Note that a reference is ready."""
        if self._watches.pop(index, None) is not None:
            self._arrived.append(index)
            self._wake()

    def failed(self, error: BaseException) -> None:
        """Note that nothing will come any more."""
        self._error = error
        self._wake()

    def _wake(self) -> None:
        if self._changed is not None and not self._changed.done():
            self._changed.set_result(None)

    @property
    def count(self) -> int:
        """How many have arrived and were not taken."""
        return len(self._arrived)

    def take(self) -> int:
        """Index of the one that has arrived first."""
        return self._arrived.popleft()

    async def until(self, count: int) -> None:
        """Wait until so many have arrived that were not taken.

        Raises:
            NodeDiedError: the node is gone.
        """
        while len(self._arrived) < count:
            if self._error is not None:
                raise self._error
            self._changed = asyncio.get_running_loop().create_future()
            try:
                await self._changed
            finally:
                self._changed = None

    def close(self) -> None:
        """Watch no more."""
        for index, watch in self._watches.items():
            self._waiter.forget(self._refs[index], watch)
        self._watches.clear()
