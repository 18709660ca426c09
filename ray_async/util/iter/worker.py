"""The actor that holds one shard of a parallel iterator."""

from __future__ import annotations

import time
from collections import defaultdict, deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

from ray_async.util.iter.local import LocalIterator
from ray_async.util.iter_metrics import SharedMetrics

__all__ = ("ParallelIteratorWorker",)


class ParallelIteratorWorker:
    """One shard. Actors given to `from_actors` derive from it. All methods raise `StopIteration` at the end.

    Args:
        item_generator: The items, or a function that gives them, for items that cannot be pickled.
        repeat: Whether to begin again at the end.
    """

    def __init__(self, item_generator: Iterable[Any] | Callable[[], Iterable[Any]], repeat: bool) -> None:
        self._source: Iterable[Any] = _cycle(item_generator) if repeat else _opened(item_generator)
        self._items: Iterator[Any] | None = None
        self._slices: defaultdict[int, deque[Any]] = defaultdict(deque)

    def par_iter_init(self, transforms: Sequence[Callable[[LocalIterator[Any]], LocalIterator[Any]]]) -> None:
        """Begin to read, through the transformations."""
        iterator: LocalIterator[Any] = LocalIterator(lambda timeout: self._source, SharedMetrics())
        for transform in transforms:
            iterator = transform(iterator)
        self._items = iter(iterator)
        self._slices.clear()

    def par_iter_next(self) -> Any:
        """Give the next item."""
        if self._items is None:
            raise RuntimeError("par_iter_init() must be called first.")
        return next(self._items)

    def par_iter_next_batch(self, batch_ms: int) -> list[Any]:
        """Give the items of the next milliseconds, but one at least."""
        return _collect(self.par_iter_next, batch_ms)

    def par_iter_slice(self, step: int, start: int) -> Any:
        """Give the next of the items whose number modulo ``step`` is ``start``."""
        mine = self._slices[start]
        while not mine:
            for index in range(step):
                try:
                    self._slices[index].append(self.par_iter_next())
                except StopIteration:
                    break
            else:
                continue
            if not mine:
                raise StopIteration
        return mine.popleft()

    def par_iter_slice_batch(self, step: int, start: int, batch_ms: int) -> list[Any]:
        """Give what ``par_iter_slice`` gives in the next milliseconds, but one item at least."""
        return _collect(lambda: self.par_iter_slice(step, start), batch_ms)


def _opened(items: Any) -> Any:
    return items() if callable(items) else items


def _cycle(items: Any) -> Iterator[Any]:
    while True:
        iterator = iter(_opened(items))
        if iterator is items:
            raise ValueError(f"{items!r} can be read only once: pass a container, or a function that gives it.")
        yield from iterator


def _collect(fetch: Callable[[], Any], batch_ms: int) -> list[Any]:
    batch = [fetch()]
    end = time.monotonic() + batch_ms / 1000
    while time.monotonic() < end:
        try:
            batch.append(fetch())
        except StopIteration:
            break
    return batch
