"""Results in the order in which they are ready."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import ray_async as ray

__all__ = ("as_completed", "map_unordered")


def as_completed(
    refs: Sequence[Any], *, chunk_size: int = 10, yield_obj_refs: bool = False, **wait_kwargs: Any
) -> Iterator[Any]:
    """Iterate over the results of `refs`, those that are ready first coming first.

    Args:
        refs: the references to wait for.
        chunk_size: results to wait for at once; more means fewer waits and coarser order.
        yield_obj_refs: yield references instead of values.
        wait_kwargs: passed to `wait`; `num_returns` is chosen here.

    Raises:
        ValueError: `chunk_size` is below 1, or `num_returns` is given.

    Example:
        >>> for value in as_completed([square.remote(i) for i in range(100)]):
        ...     print(value)
    """
    _check(chunk_size, wait_kwargs)
    return _as_completed(list(refs), chunk_size, yield_obj_refs, wait_kwargs)


def map_unordered(
    fn: Any,
    items: Iterable[Any],
    *,
    backpressure_size: int | None = 100,
    chunk_size: int = 10,
    yield_obj_refs: bool = False,
    **wait_kwargs: Any,
) -> Iterator[Any]:
    """Apply a remote function to each item; results come in the order in which they are ready.

    Args:
        fn: a remote function of one argument.
        items: the items, consumed as the results are.
        backpressure_size: tasks in flight at most; None means no limit.
        chunk_size: results to wait for at once.
        yield_obj_refs: yield references instead of values.
        wait_kwargs: passed to `wait`; `num_returns` is chosen here.

    Raises:
        ValueError: `chunk_size` or `backpressure_size` is below 1, or `num_returns` is given.

    Example:
        >>> sorted(map_unordered(square, range(4)))
        [0, 1, 4, 9]
    """
    _check(chunk_size, wait_kwargs)
    if backpressure_size is not None and backpressure_size <= 0:
        raise ValueError(f"backpressure_size must be positive or None, got {backpressure_size}")
    return _map_unordered(fn, items, backpressure_size, chunk_size, yield_obj_refs, wait_kwargs)


def _check(chunk_size: int, wait_kwargs: dict[str, Any]) -> None:
    if chunk_size < 1:
        raise ValueError(f"chunk_size must be at least 1, got {chunk_size}")
    if "num_returns" in wait_kwargs:
        raise ValueError("num_returns cannot be given: use chunk_size")


def _as_completed(refs: list[Any], chunk_size: int, yield_obj_refs: bool, wait_kwargs: dict[str, Any]) -> Iterator[Any]:
    while refs:
        ready, refs = ray.wait(refs, num_returns=min(chunk_size, len(refs)), **wait_kwargs)
        yield from ready if yield_obj_refs else ray.get(ready)


def _map_unordered(
    fn: Any,
    items: Iterable[Any],
    backpressure_size: int | None,
    chunk_size: int,
    yield_obj_refs: bool,
    wait_kwargs: dict[str, Any],
) -> Iterator[Any]:
    running: list[Any] = []
    for item in items:
        while backpressure_size is not None and len(running) >= backpressure_size:
            ready, running = ray.wait(running, num_returns=min(chunk_size, len(running)), **wait_kwargs)
            yield from ready if yield_obj_refs else ray.get(ready)
        running.append(fn.remote(item))
    yield from _as_completed(running, chunk_size, yield_obj_refs, wait_kwargs)
