"""Items of an asynchronous generator that pass through an `asyncio.Queue` to another task of the same event loop: what
a stream costs where no process is left."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

__all__ = ("pass_items",)


async def _numbers(count: int) -> AsyncIterator[int]:
    for number in range(count):
        yield number


async def _fill(queue: asyncio.Queue[int | None], count: int) -> None:
    async for number in _numbers(count):
        await queue.put(number)
    await queue.put(None)


async def pass_items(count: int) -> int:
    """Pass `count` items; returns how many have come."""
    queue: asyncio.Queue[int | None] = asyncio.Queue()
    task = asyncio.create_task(_fill(queue, count))
    come = 0
    while await queue.get() is not None:
        come += 1
    await task
    return come
