"""The transformations of a local iterator, each a function from one iterator to another.

All of them pass `NotReady` on. What calls a user's function does so with the chain's metrics in place.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager
from typing import Any

import ray_async as ray
from ray_async.util.iter.not_ready import NotReady

__all__ = ("FETCH_HOOK", "batched", "concurrent", "filtered", "flattened", "mapped", "shuffled")

Operator = Callable[[Iterable[Any]], Iterator[Any]]
Metrics = Callable[[], AbstractContextManager[None]]

#: A function given to `for_each` may have a method of this name: it is called when an item is asked for.
FETCH_HOOK = "_on_fetch_start"


def mapped(fn: Callable[[Any], Any], metrics: Metrics) -> Operator:
    def apply(items: Iterable[Any]) -> Iterator[Any]:
        for item in items:
            if isinstance(item, NotReady):
                yield item
                continue
            again = True
            while again:
                with metrics():
                    result = fn(item)
                again = isinstance(result, NotReady)
                yield result

    hook = getattr(fn, FETCH_HOOK, None)
    return apply if hook is None else _with_hook(apply, hook, metrics)


def _with_hook(operator: Operator, hook: Callable[[], Any], metrics: Metrics) -> Operator:
    def apply(items: Iterable[Any]) -> Iterator[Any]:
        due = True
        results = operator(items)
        while True:
            if due:
                with metrics():
                    hook()
            try:
                result = next(results)
            except StopIteration:
                return
            due = not isinstance(result, NotReady)
            yield result

    return apply


def concurrent(fn: Callable[[Any], Any], limit: int, options: dict[str, Any]) -> Operator:
    """Call `fn` in tasks, at most `limit` at a time (0: no limit); results come as they are ready."""

    def apply(items: Iterable[Any]) -> Iterator[Any]:
        task = ray.remote(fn).options(**options)
        running: list[Any] = []
        for item in items:
            if isinstance(item, NotReady):
                yield item
                continue
            if limit and len(running) >= limit:
                done, running = ray.wait(running)
                yield from ray.get(done)
            running.append(task.remote(item))
        while running:
            done, running = ray.wait(running)
            yield from ray.get(done)

    return apply


def filtered(fn: Callable[[Any], bool], metrics: Metrics) -> Operator:
    def apply(items: Iterable[Any]) -> Iterator[Any]:
        for item in items:
            if isinstance(item, NotReady):
                yield item
                continue
            with metrics():
                keep = fn(item)
            if keep:
                yield item

    return apply


def batched(size: int) -> Operator:
    def apply(items: Iterable[Any]) -> Iterator[Any]:
        batch: list[Any] = []
        for item in items:
            if isinstance(item, NotReady):
                yield item
                continue
            batch.append(item)
            if len(batch) >= size:
                yield batch
                batch = []
        if batch:
            yield batch

    return apply


def flattened() -> Operator:
    def apply(items: Iterable[Any]) -> Iterator[Any]:
        for item in items:
            if isinstance(item, NotReady):
                yield item
            else:
                yield from item

    return apply


def shuffled(size: int, seed: int | None) -> Operator:
    """Draw from a buffer of `size` items at random."""

    def apply(items: Iterable[Any]) -> Iterator[Any]:
        chance = random.Random(seed)
        buffer: list[Any] = []
        for item in items:
            if isinstance(item, NotReady):
                yield item
                continue
            buffer.append(item)
            if len(buffer) >= size:
                yield buffer.pop(chance.randrange(len(buffer)))
        chance.shuffle(buffer)
        yield from buffer

    return apply
