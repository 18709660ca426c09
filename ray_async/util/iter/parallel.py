"""Iterators over items that live in actors."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import ray_async as ray
from ray_async.util.iter.local import LocalIterator
from ray_async.util.iter.not_ready import NotReady
from ray_async.util.iter.worker import ParallelIteratorWorker
from ray_async.util.iter_metrics import SharedMetrics

__all__ = ("ParallelIterator", "Shards", "make_workers")

T = TypeVar("T")
U = TypeVar("U")

_Transform = Callable[[LocalIterator[Any]], LocalIterator[Any]]


@dataclass(frozen=True)
class Shards:
    """Actors that hold one shard each, and what each of them does to its items."""

    actors: tuple[Any, ...]
    transforms: tuple[_Transform, ...] = ()

    def start(self) -> None:
        """Make all actors begin to read."""
        ray.get([actor.par_iter_init.remote(self.transforms) for actor in self.actors])

    def then(self, transform: _Transform) -> Shards:
        return Shards(self.actors, (*self.transforms, transform))


def make_workers(sources: Iterable[Any], repeat: bool) -> Shards:
    """Start an actor for each source of items."""
    worker = ray.remote(ParallelIteratorWorker)
    return Shards(tuple(worker.remote(source, repeat) for source in sources))


class ParallelIterator(Generic[T]):
    """Items in shards, each held by an actor, which also runs the transformations.

    It is read through one of the ``gather`` methods or shard by shard. Can be passed to tasks and actors; each shard is
    to be read by one process at a time.

    Args:
        shards: Sets of actors, more than one after a union.
        name: What ``repr`` shows.
        parents: Iterators whose actors must live as long as this.

    Example:
        >>> from_range(4).for_each(lambda x: x * x).gather_sync().take(4)
        [0, 4, 1, 9]
    """

    def __init__(self, shards: Sequence[Shards], name: str, parents: Sequence[ParallelIterator[Any]] = ()) -> None:
        self._shards = list(shards)
        self._parents = list(parents)
        self.name = name

    def __iter__(self) -> Iterator[T]:
        raise TypeError("A ParallelIterator is read through gather_sync() or gather_async().")

    def __repr__(self) -> str:
        return f"ParallelIterator[{self.name}]"

    def transform(self, fn: Callable[[Iterable[T]], Iterable[U]]) -> ParallelIterator[U]:
        """Pass each shard's iterator through a generator function."""
        return self._with(lambda local: local.transform(fn), "transform()")

    def for_each(
        self, fn: Callable[[T], U], max_concurrency: int = 1, resources: dict[str, Any] | None = None
    ) -> ParallelIterator[U]:
        """Apply a function to each item.

        Args:
            fn: The function.
            max_concurrency: How many calls may run at once in each shard, as tasks; 1: in the shard's actor, in order;
                0: any number.
            resources: Options of these tasks, such as ``num_cpus``.

        Raises:
            ValueError: ``max_concurrency`` is negative.
        """
        if max_concurrency < 0:
            raise ValueError(f"max_concurrency must not be negative, got {max_concurrency}.")
        return self._with(lambda local: local.for_each(fn, max_concurrency, resources), "for_each()")

    def filter(self, fn: Callable[[T], bool]) -> ParallelIterator[T]:
        """Keep the items for which a function is true."""
        return self._with(lambda local: local.filter(fn), "filter()")

    def batch(self, n: int) -> ParallelIterator[list[T]]:
        """Make lists of n items of a shard; its last may be shorter."""
        return self._with(lambda local: local.batch(n), f"batch({n})")

    def flatten(self) -> ParallelIterator[Any]:
        """Give the elements of each item."""
        return self._with(lambda local: local.flatten(), "flatten()")

    def combine(self, fn: Callable[[T], Iterable[U]]) -> ParallelIterator[U]:
        """Apply a function to each item and give the elements of its results."""
        combined: ParallelIterator[U] = self.for_each(fn).flatten()
        combined.name = f"{self.name}.combine()"
        return combined

    def local_shuffle(self, shuffle_buffer_size: int, seed: int | None = None) -> ParallelIterator[T]:
        """Change the order within each shard; see ``LocalIterator.shuffle``."""
        name = f"local_shuffle(shuffle_buffer_size={shuffle_buffer_size}, seed={seed})"
        return self._with(lambda local: local.shuffle(shuffle_buffer_size, seed), name)

    def repartition(self, num_partitions: int, batch_ms: int = 0) -> ParallelIterator[T]:
        """Deal the items out to another number of shards, in turn.

        Args:
            num_partitions: How many.
            batch_ms: How long to collect items before they move, in milliseconds.
        """
        self._start()
        actors = self._actors()

        def partition(index: int) -> Callable[[], Iterator[Any]]:
            def fetch(actor: Any) -> Any:
                return actor.par_iter_slice_batch.remote(num_partitions, index, batch_ms)

            return lambda: _flat(_arriving(actors, fetch, 1, None))

        shards = make_workers([partition(index) for index in range(num_partitions)], repeat=False)
        name = f"{self.name}.repartition[num_partitions={num_partitions}]"
        return ParallelIterator([shards], name, parents=[self])

    def gather_sync(self) -> LocalIterator[T]:
        """Read one item of each shard in turn, each when it is asked for."""
        gathered = self.batch_across_shards().flatten()
        gathered.name = f"{self}.gather_sync()"
        return gathered

    def batch_across_shards(self) -> LocalIterator[list[T]]:
        """Read lists of one item of each shard."""

        def rows(timeout: float | None) -> Iterator[Any]:
            self._start()
            active = self._actors()
            while active:
                refs = [actor.par_iter_next.remote() for actor in active]
                while timeout is not None and ray.wait(refs, num_returns=len(refs), timeout=timeout)[1]:
                    yield NotReady()
                row, still_active = [], []
                for actor, ref in zip(active, refs, strict=True):
                    try:
                        row.append(ray.get(ref))
                        still_active.append(actor)
                    except StopIteration:
                        continue
                active = still_active
                if row:
                    yield row

        return LocalIterator(rows, SharedMetrics(), name=f"{self}.batch_across_shards()")

    def gather_async(self, batch_ms: int = 0, num_async: int = 1) -> LocalIterator[T]:
        """Read items as they come, in no particular order.

        Args:
            batch_ms: How long a shard collects items before it sends them, in milliseconds.
            num_async: Requests in flight to each shard.

        Raises:
            ValueError: ``num_async`` below 1, or ``batch_ms`` below 0.
        """
        _check_flow(batch_ms, num_async)
        shared = SharedMetrics()

        def items(timeout: float | None) -> Iterator[Any]:
            self._start()
            fetch = _batches(batch_ms)
            for arrival in _arriving(self._actors(), fetch, num_async, timeout):
                if isinstance(arrival, NotReady):
                    yield arrival
                    continue
                actor, batch = arrival
                for item in batch:
                    # Set before each item: other iterators of a union set it, too.
                    shared.get().current_actor = actor
                    yield item

        return LocalIterator(items, shared, name=f"{self}.gather_async()")

    def take(self, n: int) -> list[T]:
        """Give the first n items, or as many as there are."""
        return self.gather_sync().take(n)

    def show(self, n: int = 20) -> None:
        """Print the first n items."""
        self.gather_sync().show(n)

    def union(self, other: ParallelIterator[Any]) -> ParallelIterator[Any]:
        """Give an iterator with the shards of both.

        Raises:
            TypeError: ``other`` is no ParallelIterator.
        """
        if not isinstance(other, ParallelIterator):
            raise TypeError(f"union() takes a ParallelIterator, not {type(other).__name__}.")
        name = f"ParallelUnion[{self}, {other}]"
        return ParallelIterator(self._shards + other._shards, name, self._parents + other._parents)

    def select_shards(self, shards_to_keep: Sequence[int]) -> ParallelIterator[T]:
        """Give an iterator over some of the shards.

        Args:
            shards_to_keep: Their numbers.

        Raises:
            ValueError: No shard, one that does not exist, or an iterator that is a union.
        """
        if len(self._shards) > 1:
            raise ValueError("select_shards() is not possible after a union.")
        whole = self._shards[0]
        missing = [index for index in shards_to_keep if not 0 <= index < len(whole.actors)]
        if missing or not shards_to_keep:
            raise ValueError(f"There are {len(whole.actors)} shards; cannot select {list(shards_to_keep)}.")
        kept = Shards(tuple(whole.actors[index] for index in sorted(set(shards_to_keep))), whole.transforms)
        return ParallelIterator([kept], f"{self}.select_shards({len(shards_to_keep)} total)", self._parents)

    def num_shards(self) -> int:
        """Return how many shards there are."""
        return len(self._actors())

    def shards(self) -> list[LocalIterator[T]]:
        """Give an iterator for each shard."""
        return [self.get_shard(index) for index in range(self.num_shards())]

    def get_shard(self, shard_index: int, batch_ms: int = 0, num_async: int = 1) -> LocalIterator[T]:
        """Read one shard.

        Args:
            shard_index: Its number.
            batch_ms: How long it collects items before it sends them, in milliseconds.
            num_async: Requests in flight.

        Raises:
            ValueError: There is no such shard; ``num_async`` below 1, or ``batch_ms`` below 0.
        """
        _check_flow(batch_ms, num_async)
        every = [(actor, shards.transforms) for shards in self._shards for actor in shards.actors]
        if not 0 <= shard_index < len(every):
            raise ValueError(f"There are {len(every)} shards, no shard {shard_index}.")
        actor, transforms = every[shard_index]

        def items(timeout: float | None) -> Iterator[Any]:
            ray.get(actor.par_iter_init.remote(transforms))
            requests = deque(actor.par_iter_next_batch.remote(batch_ms) for _ in range(num_async))
            while requests:
                while timeout is not None and ray.wait([requests[0]], timeout=timeout)[1]:
                    yield NotReady()
                try:
                    batch = ray.get(requests.popleft())
                except StopIteration:
                    return
                requests.append(actor.par_iter_next_batch.remote(batch_ms))
                yield from batch

        return LocalIterator(items, SharedMetrics(), name=f"{self.name}.shard[{shard_index}]")

    def _with(self, transform: _Transform, step: str) -> ParallelIterator[Any]:
        shards = [shards.then(transform) for shards in self._shards]
        return ParallelIterator(shards, f"{self.name}.{step}", self._parents)

    def _actors(self) -> list[Any]:
        return [actor for shards in self._shards for actor in shards.actors]

    def _start(self) -> None:
        for shards in self._shards:
            shards.start()


def _check_flow(batch_ms: int, num_async: int) -> None:
    if num_async < 1:
        raise ValueError(f"num_async must be 1 or more, got {num_async}.")
    if batch_ms < 0:
        raise ValueError(f"batch_ms must not be negative, got {batch_ms}.")


def _batches(batch_ms: int) -> Callable[[Any], Any]:
    return lambda actor: actor.par_iter_next_batch.remote(batch_ms)


def _arriving(
    actors: Sequence[Any], fetch: Callable[[Any], Any], num_async: int, timeout: float | None
) -> Iterator[Any]:
    """Keep requests to all actors in flight; give pairs of actor and batch as they come, until all have ended."""
    waiting = {fetch(actor): actor for _ in range(num_async) for actor in actors}
    while waiting:
        refs = list(waiting)
        ready, _ = ray.wait(refs, num_returns=len(refs), timeout=0)
        if not ready:
            ready, _ = ray.wait(refs, timeout=timeout)
        for ref in ready:
            actor = waiting.pop(ref)
            try:
                batch = ray.get(ref)
            except StopIteration:
                continue
            waiting[fetch(actor)] = actor
            yield actor, batch
        if timeout is not None and waiting:
            yield NotReady()


def _flat(arrivals: Iterator[Any]) -> Iterator[Any]:
    for _, batch in arrivals:
        yield from batch
