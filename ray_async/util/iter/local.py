"""Iterators that are read in this process, with what happens to each item on the way."""

from __future__ import annotations

import itertools
import random
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Generic, Literal, TypeVar

from ray_async.util.iter import operators
from ray_async.util.iter.not_ready import NotReady
from ray_async.util.iter_metrics import MetricsContext, SharedMetrics

__all__ = ("LocalIterator",)

T = TypeVar("T")
U = TypeVar("U")

# How long a member of a union is waited for before the next one has its turn, in seconds.
_TURN_S = 0.01
# How many items in a row a member of weight "*" may give.
_BATCH_ITEMS = 100

_current = threading.local()


class LocalIterator(Generic[T]):
    """Items and lazy transformations of them, computed where they are read.

    Each transformation gives a new iterator and leaves this one as it is. Can be passed to tasks and actors until it is
    first read; one process at a time may read it.

    Args:
        base_iterator: Makes the items. Called with ``timeout``, before the first item is read.
        shared_metrics: The metrics of this chain.
        local_transforms: Functions from iterator to iterator, applied in this order.
        timeout: Seconds that ``base_iterator`` may block before it gives "not ready" as an item; None: any time.
        name: What ``repr`` shows.

    Example:
        >>> from_items([1, 2, 3]).gather_sync().for_each(lambda x: x * 2).take(2)
        [2, 4]
    """

    def __init__(
        self,
        base_iterator: Callable[[float | None], Iterable[Any]],
        shared_metrics: SharedMetrics,
        local_transforms: Sequence[Callable[[Any], Any]] | None = None,
        timeout: float | None = None,
        name: str | None = None,
    ) -> None:
        self.base_iterator = base_iterator
        self.shared_metrics = shared_metrics
        self.local_transforms = list(local_transforms or ())
        self.timeout = timeout
        self.name = name or "unknown"
        self._items: Iterator[Any] | None = None

    @staticmethod
    def get_metrics() -> MetricsContext:
        """Give the metrics of the chain whose function is running.

        Raises:
            ValueError: No function of an iterator is running in this thread.
        """
        metrics: MetricsContext | None = getattr(_current, "metrics", None)
        if metrics is None:
            raise ValueError("Metrics can only be read by functions that an iterator calls.")
        return metrics

    def __iter__(self) -> Iterator[T]:
        if self._items is None:
            items: Any = iter(self.base_iterator(self.timeout))
            for transform in self.local_transforms:
                items = transform(items)
            self._items = iter(items)
        return self._items

    def __next__(self) -> T:
        return next(iter(self))

    def __repr__(self) -> str:
        return f"LocalIterator[{self.name}]"

    def transform(self, fn: Callable[[Iterable[T]], Iterable[U]]) -> LocalIterator[U]:
        """Pass the iterator of items through a generator function, which must pass on items that are not ready."""
        return self._with(fn, "transform()")

    def for_each(
        self, fn: Callable[[T], U], max_concurrency: int = 1, resources: dict[str, Any] | None = None
    ) -> LocalIterator[U]:
        """Apply a function to each item.

        Args:
            fn: The function.
            max_concurrency: How many calls may run at once, as tasks; 1: here, in order; 0: any number.
            resources: Options of these tasks.
        """
        if max_concurrency == 1:
            return self._with(operators.mapped(fn, self._metrics), "for_each()")
        return self._with(operators.concurrent(fn, max_concurrency, resources or {}), "for_each()")

    def filter(self, fn: Callable[[T], bool]) -> LocalIterator[T]:
        """Keep the items for which a function is true."""
        return self._with(operators.filtered(fn, self._metrics), "filter()")

    def batch(self, n: int) -> LocalIterator[list[T]]:
        """Make lists of n items; the last may be shorter."""
        return self._with(operators.batched(n), f"batch({n})")

    def flatten(self) -> LocalIterator[Any]:
        """Give the elements of each item."""
        return self._with(operators.flattened(), "flatten()")

    def combine(self, fn: Callable[[T], Iterable[U]]) -> LocalIterator[U]:
        """Apply a function to each item and give the elements of its results."""
        return self._named(self.for_each(fn).flatten(), "combine()")

    def shuffle(self, shuffle_buffer_size: int, seed: int | None = None) -> LocalIterator[T]:
        """Change the order within a window.

        Args:
            shuffle_buffer_size: Items in the window; a perfect shuffle needs all.
            seed: For an order that can be repeated.
        """
        name = f"shuffle(shuffle_buffer_size={shuffle_buffer_size}, seed={seed})"
        return self._with(operators.shuffled(shuffle_buffer_size, seed), name)

    def zip_with_source_actor(self) -> LocalIterator[tuple[Any, T]]:
        """Give pairs of the actor that an item came from, and the item; after ``gather_async``."""

        def pair(item: T) -> tuple[Any, T]:
            actor = LocalIterator.get_metrics().current_actor
            if actor is None:
                raise ValueError("It is not known which actor this item came from: use gather_async().")
            return actor, item

        return self._named(self.for_each(pair), "zip_with_source_actor()")

    def take(self, n: int) -> list[T]:
        """Give the next n items, or as many as there are."""
        return list(itertools.islice(self, n))

    def show(self, n: int = 20) -> None:
        """Print the next n items."""
        for item in self.take(n):
            print(item)

    def duplicate(self, n: int) -> list[LocalIterator[T]]:
        """Give n iterators over the same items, each of which sees them all.

        In a union the one that is behind is served first, so that little has to be kept.

        Raises:
            ValueError: n is less than 2.
        """
        if n < 2:
            raise ValueError(f"duplicate() makes 2 iterators or more, not {n}.")
        buffers: list[deque[Any]] = [deque() for _ in range(n)]

        def copy(index: int) -> Callable[[float | None], Iterator[Any]]:
            def items(timeout: float | None) -> Iterator[Any]:
                mine = buffers[index]
                while True:
                    if not mine:
                        if timeout is not None and any(buffers):
                            yield NotReady()
                            continue
                        if self._items is None:
                            self.timeout = timeout
                        try:
                            item = next(self)
                        except StopIteration:
                            return
                        for buffer in buffers:
                            buffer.append(item)
                    yield mine.popleft()

            return items

        return [LocalIterator(copy(i), self.shared_metrics, name=f"{self.name}.duplicate[{i}]") for i in range(n)]

    def union(
        self,
        *others: LocalIterator[Any],
        deterministic: bool = False,
        round_robin_weights: Sequence[float | Literal["*"]] | None = None,
    ) -> LocalIterator[Any]:
        """Give the items of this iterator and of others.

        Args:
            others: The others.
            deterministic: Take turns, and wait for each; by default, items come as they are ready.
            round_robin_weights: How many items each may give at its turn (fractions by chance); ``"*"``: as many as are
                ready. They are then waited for in turn.

        Raises:
            ValueError: An argument that is no LocalIterator, or not as many weights as iterators.
        """
        members = [self, *others]
        for member in members:
            if not isinstance(member, LocalIterator):
                raise ValueError(f"union() takes objects of type LocalIterator, not {type(member).__name__}.")
        weights = list(round_robin_weights or [1] * len(members))
        if len(weights) != len(members):
            raise ValueError(f"There are {len(members)} iterators, but {len(weights)} weights.")
        waits = deterministic or bool(round_robin_weights)
        timeouts = [None if waits and weight != "*" else _TURN_S for weight in weights]
        shared = SharedMetrics(parents=[member.shared_metrics for member in members])
        turns: list[tuple[Any, LocalIterator[Any]]] = [
            (weight, LocalIterator(member.base_iterator, shared, member.local_transforms, timeout))
            for weight, member, timeout in zip(weights, members, timeouts, strict=True)
        ]
        name = f"LocalUnion[{', '.join(map(repr, members))}]"
        return LocalIterator(lambda timeout: _take_turns(list(turns), timeout), shared, name=name)

    def _with(self, operator: Callable[[Any], Any], step: str) -> LocalIterator[Any]:
        transforms = [*self.local_transforms, operator]
        return LocalIterator(self.base_iterator, self.shared_metrics, transforms, name=f"{self.name}.{step}")

    def _named(self, iterator: LocalIterator[Any], step: str) -> LocalIterator[Any]:
        iterator.name = f"{self.name}.{step}"
        return iterator

    @contextmanager
    def _metrics(self) -> Iterator[None]:
        before = getattr(_current, "metrics", None)
        _current.metrics = self.shared_metrics.get()
        try:
            yield
        finally:
            _current.metrics = before


def _take_turns(turns: list[tuple[Any, LocalIterator[Any]]], timeout: float | None) -> Iterator[Any]:
    while turns:
        for turn in list(turns):
            weight, member = turn
            for _ in range(_BATCH_ITEMS if weight == "*" else _by_chance(weight)):
                try:
                    item: Any = next(member)
                except StopIteration:
                    turns.remove(turn)
                    break
                if isinstance(item, NotReady):
                    if timeout is not None:
                        yield item
                    break
                yield item


def _by_chance(weight: float) -> int:
    """Round up or down, so that the mean is the weight."""
    whole = int(weight)
    return whole + (random.random() < weight - whole)
