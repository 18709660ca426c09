"""A pool that spreads work over a fixed set of actors."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from typing import Any, Generic, TypeVar, overload

import ray_async as ray

__all__ = ("ActorPool",)

A = TypeVar("A")
V = TypeVar("V")
R = TypeVar("R")


class _Call(Generic[A]):
    """A call in flight: its place in the order of submission, its actor and what the function returned."""

    __slots__ = ("actor", "index", "result")

    def __init__(self, index: int, actor: A, result: Any) -> None:
        self.index = index
        self.actor = actor
        self.result = result

    @property
    def refs(self) -> list[Any]:
        return self.result if isinstance(self.result, list) else [self.result]


class ActorPool(Generic[A]):
    """Run a function over values on whichever actors of the pool are idle.

    The function gets an actor and a value and returns the reference (or the list of references) of one actor call.
    Each actor has at most one call of the pool at a time. Not thread-safe.

    Args:
        actors: the actor handles that make up the pool.

    Example:
        >>> pool = ActorPool([Worker.remote(), Worker.remote()])
        >>> list(pool.map(lambda actor, value: actor.double.remote(value), [1, 2, 3, 4]))
        [2, 4, 6, 8]
    """

    def __init__(self, actors: Iterable[A]) -> None:
        self._idle: list[A] = list(actors)
        self._running: dict[int, _Call[A]] = {}
        self._pending_submits: deque[tuple[Callable[[A, Any], Any], Any]] = deque()
        self._next_index = 0
        self._return_index = 0
        self._n_maps = 0

    @overload
    def map(self, fn: Callable[[A, V], ray.ObjectRef[R]], values: Iterable[V]) -> Iterator[R]: ...
    @overload
    def map(self, fn: Callable[[A, V], list[Any]], values: Iterable[V]) -> Iterator[list[Any]]: ...
    def map(self, fn: Callable[[A, V], Any], values: Iterable[V]) -> Iterator[Any]:
        """Apply `fn(actor, value)` to each value; results come in the order of the values.

        Everything is submitted before this returns. Results of earlier submissions that nobody took are dropped.

        Args:
            fn: called with an idle actor and a value; returns the reference of its call.
            values: the values, consumed at once.

        Returns:
            An iterator over the results. It raises what the call raised, and RuntimeError once another `map` or
            `map_unordered` has begun: what is left then are results of that one.
        """
        return self._results(self.get_next, self._submit_all(fn, values))

    @overload
    def map_unordered(self, fn: Callable[[A, V], ray.ObjectRef[R]], values: Iterable[V]) -> Iterator[R]: ...
    @overload
    def map_unordered(self, fn: Callable[[A, V], list[Any]], values: Iterable[V]) -> Iterator[list[Any]]: ...
    def map_unordered(self, fn: Callable[[A, V], Any], values: Iterable[V]) -> Iterator[Any]:
        """Like `map`, but results come in the order in which they are ready."""
        return self._results(self.get_next_unordered, self._submit_all(fn, values))

    def _submit_all(self, fn: Callable[[A, V], Any], values: Iterable[V]) -> int:
        """Start a call for each value, and return how many there are."""
        self._drop_earlier()
        count = 0
        for value in values:
            self.submit(fn, value)
            count += 1
        return count

    def submit(self, fn: Callable[[A, V], Any], value: V) -> None:
        """Start `fn(actor, value)` on an idle actor, or once one is idle.

        Args:
            fn: called with an idle actor and the value; returns the reference of its call.
            value: the value to compute on.
        """
        if not self._idle:
            self._pending_submits.append((fn, value))
            return
        actor = self._idle.pop()
        self._running[self._next_index] = _Call(self._next_index, actor, fn(actor, value))
        self._next_index += 1

    def has_next(self) -> bool:
        """Whether there is a result to take, ready or not."""
        return bool(self._running)

    def get_next(self, timeout: float | None = None, ignore_if_timedout: bool = False) -> Any:
        """Return the next result in the order of submission.

        Args:
            timeout: seconds to wait for it; None waits as long as it takes.
            ignore_if_timedout: on a timeout, give this result up, so that the next call returns the one after it.

        Raises:
            StopIteration: there is no result to wait for.
            TimeoutError: the result was not ready in time.
            ValueError: a later result was taken with `get_next_unordered` before, so there is no order to follow.
        """
        if not self.has_next():
            raise StopIteration("No more results to get")
        call = self._running.get(self._return_index)
        if call is None:
            raise ValueError("get_next() cannot follow get_next_unordered(): the order of results is lost")
        refs = call.refs
        if timeout is not None and len(ray.wait(refs, num_returns=len(refs), timeout=timeout)[0]) < len(refs):
            if ignore_if_timedout:
                self._take(call)
                self._give_back(call.actor)
            raise TimeoutError(f"the next result was not ready within {timeout} s")
        self._take(call)
        return self._fetch(call)

    def get_next_unordered(self, timeout: float | None = None, ignore_if_timedout: bool = False) -> Any:
        """Return whichever result is ready first.

        Args:
            timeout: seconds to wait for one; None waits as long as it takes.
            ignore_if_timedout: on a timeout, give up the oldest result, so that its actor takes the next value.

        Raises:
            StopIteration: there is no result to wait for.
            TimeoutError: no result was ready in time.
        """
        if not self.has_next():
            raise StopIteration("No more results to get")
        # The references of one call become ready together, so the first stands for all of them.
        calls = {call.refs[0]: call for call in self._running.values()}
        ready, _ = ray.wait(list(calls), num_returns=1, timeout=timeout)
        if not ready:
            if ignore_if_timedout:
                oldest = next(iter(self._running.values()))
                self._take(oldest)
                self._give_back(oldest.actor)
            raise TimeoutError(f"no result was ready within {timeout} s")
        call = calls[ready[0]]
        self._take(call)
        return self._fetch(call)

    def has_free(self) -> bool:
        """Whether an actor is idle and no submission waits for one."""
        return bool(self._idle) and not self._pending_submits

    def pop_idle(self) -> A | None:
        """Take an idle actor out of the pool, or return None when all are busy."""
        return self._idle.pop() if self.has_free() else None

    def push(self, actor: A) -> None:
        """Add an actor to the pool.

        Raises:
            ValueError: the actor is in the pool already.
        """
        if actor in self._idle or any(call.actor == actor for call in self._running.values()):
            raise ValueError("the actor already belongs to this pool")
        self._give_back(actor)

    def _results(self, take: Callable[[], Any], count: int) -> Iterator[Any]:
        self._n_maps += 1
        return self._taken(take, self._n_maps, count)

    def _taken(self, take: Callable[[], Any], number: int, count: int) -> Iterator[Any]:
        while number == self._n_maps and self.has_next():
            yield take()
            count -= 1
        if number != self._n_maps and count > 0:
            raise RuntimeError("the pool has begun another map: the rest of these results was dropped")

    def _take(self, call: _Call[A]) -> None:
        del self._running[call.index]
        self._return_index = max(self._return_index, call.index + 1)

    def _fetch(self, call: _Call[A]) -> Any:
        from ray_async.exceptions import ActorDiedError

        try:
            result = ray.get(call.result)
        except ActorDiedError:
            raise  # a dead actor is of no more use to the pool
        except BaseException:
            self._give_back(call.actor)
            raise
        self._give_back(call.actor)
        return result

    def _give_back(self, actor: A) -> None:
        self._idle.append(actor)
        if self._pending_submits:
            self.submit(*self._pending_submits.popleft())

    def _drop_earlier(self) -> None:
        while self._running:
            call = next(iter(self._running.values()))
            self._take(call)
            self._give_back(call.actor)
