"""Sources of parallel iterators."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from ray_async.util.iter.parallel import ParallelIterator, Shards, make_workers

__all__ = ("from_actors", "from_items", "from_iterators", "from_range")


def from_items(items: Sequence[Any], num_shards: int = 2, repeat: bool = False) -> ParallelIterator[Any]:
    """Deal items out to shards, in turn.

    Args:
        items: The items.
        num_shards: How many actors hold them.
        repeat: Whether each shard begins again at its end.

    Example:
        >>> from_items([1, 2, 3]).gather_sync().take(3)
        [1, 2, 3]
    """
    kind = type(items[0]).__name__ if items else "None"
    name = f"from_items[{kind}, {len(items)}, {_tail(num_shards, repeat)}]"
    return from_iterators([items[shard::num_shards] for shard in range(num_shards)], repeat, name)


def from_range(n: int, num_shards: int = 2, repeat: bool = False) -> ParallelIterator[int]:
    """Iterate over ``range(n)``, cut into ranges, one for each shard.

    Args:
        n: The end of the range.
        num_shards: How many actors hold a part; the last takes what is left over.
        repeat: Whether each shard begins again at its end.
    """
    size = n // num_shards
    ends = [*(size * shard for shard in range(1, num_shards)), n]
    parts = [range(size * shard, end) for shard, end in enumerate(ends)]
    return from_iterators(parts, repeat, f"from_range[{n}, {_tail(num_shards, repeat)}]")


def from_iterators(
    generators: Sequence[Iterable[Any] | Callable[[], Iterable[Any]]], repeat: bool = False, name: str | None = None
) -> ParallelIterator[Any]:
    """Make one shard of each iterable.

    Args:
        generators: Iterables, or functions that give them, for those that cannot be pickled.
        repeat: Whether each shard begins again at its end.
        name: What ``repr`` shows.
    """
    name = name or f"from_iterators[{_tail(len(generators), repeat)}]"
    return ParallelIterator([make_workers(generators, repeat)], name)


def from_actors(actors: Sequence[Any], name: str | None = None) -> ParallelIterator[Any]:
    """Make one shard of each actor; their classes derive from ``ParallelIteratorWorker``.

    Args:
        actors: The handles.
        name: What ``repr`` shows.
    """
    return ParallelIterator([Shards(tuple(actors))], name or f"from_actors[{_tail(len(actors), False)}]")


def _tail(num_shards: int, repeat: bool) -> str:
    return f"shards={num_shards}{', repeat=True' if repeat else ''}"
