"""A first-in first-out queue that tasks and actors share: an async actor with a handle that can be passed around."""

from __future__ import annotations

import asyncio
import queue as stdlib_queue
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Generic

import ray_async as ray
from ray_async.engine.current import result_is_wanted

__all__ = ("Empty", "Full", "Queue")

if TYPE_CHECKING:
    from typing_extensions import TypeVar

    T = TypeVar("T", default=Any)
else:
    from typing import TypeVar

    T = TypeVar("T")


class Empty(stdlib_queue.Empty):
    """The queue held too few items, and none came in time."""


class Full(stdlib_queue.Full):
    """The queue had too little room, and none came in time."""


class Queue(Generic[T]):
    """A queue that lives in an actor of its own. The handle may be pickled and used from any task or actor.

    Args:
        maxsize: items that the queue holds at most; 0 or less means no limit.
        actor_options: options of the actor, as in `.options()`. Without any it holds no resources.

    Example:
        >>> queue = Queue(maxsize=100)
        >>> queue.put("item")
        >>> queue.get(timeout=1.0)
        'item'
    """

    def __init__(self, maxsize: int = 0, actor_options: dict[str, Any] | None = None) -> None:
        self.maxsize = maxsize
        options = {"num_cpus": 0, **(actor_options or {})}
        self.actor: Any = ray.remote(_QueueActor).options(**options).remote(maxsize)

    def __len__(self) -> int:
        return self.size()

    def size(self) -> int:
        """Return the number of items in the queue."""
        return int(ray.get(self.actor.qsize.remote()))

    def qsize(self) -> int:
        """Return the number of items in the queue."""
        return self.size()

    def empty(self) -> bool:
        """Whether the queue holds nothing right now."""
        return bool(ray.get(self.actor.empty.remote()))

    def full(self) -> bool:
        """Whether the queue holds `maxsize` items right now."""
        return bool(ray.get(self.actor.full.remote()))

    def put(self, item: T, block: bool = True, timeout: float | None = None) -> None:
        """Add an item.

        Args:
            item: what to add.
            block: wait for room; otherwise `timeout` is ignored.
            timeout: seconds to wait for room; None waits as long as it takes.

        Raises:
            Full: there was no room in time.
            ValueError: the timeout is negative.
        """
        call = self._put(item, block, timeout)
        try:
            accepted = ray.get(call)
        except BaseException as error:
            _cancel_interrupted(call, error)
            raise
        _check_put(accepted)

    async def put_async(self, item: T, block: bool = True, timeout: float | None = None) -> None:
        """Add an item without blocking the event loop; otherwise as `put`.

        One that is cancelled while it waits for room adds nothing.
        """
        call = self._put(item, block, timeout)
        try:
            accepted = await call
        except BaseException as error:
            _cancel_interrupted(call, error)
            raise
        _check_put(accepted)

    def get(self, block: bool = True, timeout: float | None = None) -> T:
        """Remove the oldest item and return it.

        Args:
            block: wait for an item; otherwise `timeout` is ignored.
            timeout: seconds to wait for an item; None waits as long as it takes.

        Raises:
            Empty: there was no item in time.
            ValueError: the timeout is negative.
        """
        item: T = _unpack_get(self._receive(self._get(block, timeout)))
        return item

    async def get_async(self, block: bool = True, timeout: float | None = None) -> T:
        """Remove the oldest item without blocking the event loop; otherwise as `get`.

        One that is cancelled removes nothing: an item that was on its way is the queue's first again.
        """
        call = self._get(block, timeout)
        try:
            answer = await call
        except BaseException as error:
            self._take_back_interrupted(call, error)
            raise
        item: T = _unpack_get(answer)
        return item

    def put_nowait(self, item: T) -> None:
        """Add an item if there is room, else raise `Full`."""
        self.put(item, block=False)

    def get_nowait(self) -> T:
        """Remove and return the oldest item if there is one, else raise `Empty`."""
        return self.get(block=False)

    def put_nowait_batch(self, items: Iterable[T]) -> None:
        """Add all items at once, or none of them.

        Raises:
            Full: there is no room for all of them.
            TypeError: `items` is not iterable.
        """
        if not isinstance(items, Iterable):
            raise TypeError(f"items must be iterable, not {type(items).__name__}")
        batch = list(items)
        if not ray.get(self.actor.put_batch.remote(batch)):
            raise Full(f"the queue has no room for {len(batch)} more items (maxsize {self.maxsize})")

    def get_nowait_batch(self, num_items: int) -> list[T]:
        """Remove and return the `num_items` oldest items, or none of them.

        Raises:
            Empty: the queue holds fewer items.
            TypeError: `num_items` is not an int.
            ValueError: `num_items` is negative.
        """
        if not isinstance(num_items, int):
            raise TypeError(f"num_items must be an int, not {type(num_items).__name__}")
        if num_items < 0:
            raise ValueError(f"num_items must not be negative, got {num_items}")
        items: list[T] | None = self._receive(self.actor.get_batch.remote(num_items))
        if items is None:
            raise Empty(f"the queue holds fewer than {num_items} items")
        return items

    def shutdown(self, force: bool = False, grace_period_s: float = 5) -> None:
        """End the queue's actor; after that the queue cannot be used.

        Args:
            force: kill the actor at once instead of letting calls in progress finish.
            grace_period_s: seconds until it is killed all the same.
        """
        actor, self.actor = self.actor, None
        if actor is None:
            return
        if not force:
            done, _ = ray.wait([actor.__ray_terminate__.remote()], timeout=grace_period_s)
            if done:
                return
        ray.kill(actor, no_restart=True)

    def _put(self, item: T, block: bool, timeout: float | None) -> Any:
        _check_timeout(timeout)
        return self.actor.put.remote(item, timeout) if block else self.actor.put_nowait.remote(item)

    def _get(self, block: bool, timeout: float | None) -> Any:
        _check_timeout(timeout)
        return self.actor.get.remote(timeout) if block else self.actor.get_nowait.remote()

    def _receive(self, call: Any) -> Any:
        try:
            return ray.get(call)
        except BaseException as error:
            self._take_back_interrupted(call, error)
            raise

    def _take_back_interrupted(self, call: Any, error: BaseException) -> None:
        """Have the actor take back what a call that nobody waits for any more has removed, or may still remove."""
        if not isinstance(error, Exception):
            ray.cancel(call)
            self.actor.take_back.remote([call])


def _cancel_interrupted(call: Any, error: BaseException) -> None:
    """Cancel a call that nobody waits for any more."""
    if not isinstance(error, Exception):
        ray.cancel(call)


class _Items(asyncio.Queue[Any]):
    """A queue that takes items back at its front, beyond its limit if need be."""

    def put_back(self, items: Iterable[Any]) -> None:
        """Make these the first items, in their order."""
        for item in reversed(list(items)):
            self._queue.appendleft(item)  # type: ignore[attr-defined]
            self._wakeup_next(self._getters)  # type: ignore[attr-defined]


class _QueueActor:
    """The items. A lack of room or of items is an answer, not an exception: it costs no traceback."""

    def __init__(self, maxsize: int) -> None:
        self._queue = _Items(maxsize)

    async def qsize(self) -> int:
        return self._queue.qsize()

    async def empty(self) -> bool:
        return self._queue.empty()

    async def full(self) -> bool:
        return self._queue.full()

    async def put(self, item: Any, timeout: float | None = None) -> bool:
        try:
            async with asyncio.timeout(timeout):
                await self._queue.put(item)
        except TimeoutError:
            return False
        return True

    async def put_nowait(self, item: Any) -> bool:
        if self._queue.full():
            return False
        self._queue.put_nowait(item)
        return True

    async def get(self, timeout: float | None = None) -> tuple[Any, ...]:
        try:
            async with asyncio.timeout(timeout):
                waits = self._queue.empty()
                item = await self._queue.get()
        except TimeoutError:
            return ()
        if waits and not result_is_wanted():  # who has asked for it was killed meanwhile
            self._queue.put_back([item])
            return ()
        return (item,)

    async def take_back(self, calls: list[Any]) -> None:
        """Take back what interrupted calls have removed; those that were cancelled in time removed nothing."""
        from ray_async.exceptions import RayError

        for call in calls:
            try:
                items = await call
            except RayError:
                continue
            self._queue.put_back(items or ())

    async def get_nowait(self) -> tuple[Any, ...]:
        return () if self._queue.empty() else (self._queue.get_nowait(),)

    async def put_batch(self, items: list[Any]) -> bool:
        if 0 < self._queue.maxsize < self._queue.qsize() + len(items):
            return False
        for item in items:
            self._queue.put_nowait(item)
        return True

    async def get_batch(self, num_items: int) -> list[Any] | None:
        if self._queue.qsize() < num_items:
            return None
        return [self._queue.get_nowait() for _ in range(num_items)]


def _check_timeout(timeout: float | None) -> None:
    if timeout is not None and timeout < 0:
        raise ValueError(f"timeout must not be negative, got {timeout}")


def _check_put(accepted: bool) -> None:
    if not accepted:
        raise Full("the queue is full")


def _unpack_get(answer: tuple[Any, ...]) -> Any:
    if not answer:
        raise Empty("the queue is empty")
    return answer[0]
