"""asyncio's idioms over whatever can be awaited: remote calls, futures of a pool, or coroutines that do nothing.

Needs nothing but the standard library. The operations are the same for all; what they are given differs.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from typing import Any, TypeVar

from bench.drivers import protocol

__all__ = ("case", "first_of_all", "gathered", "in_a_group", "in_turn", "limited", "run_loop")

R = TypeVar("R")
Make = Callable[[], Any]
LIMIT = 100


def run_loop(main: Coroutine[Any, Any, R]) -> R:
    """Run on uvloop where this interpreter has it."""
    try:
        import uvloop
    except ImportError:
        return asyncio.run(main)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(main)


def case(operation: Callable[[Make, int], Awaitable[object]], make: Callable[[], Make]) -> protocol.Case:
    """A case around an operation.

    Args:
        operation: what does so many at once.
        make: called once for what makes the awaitables.
    """

    def measure(params: Mapping[str, Any]) -> Mapping[str, float]:
        batch, one = int(params["batch"]), make()
        return run_loop(protocol.repeat_async(lambda: operation(one, batch), params, per=batch))

    return measure


async def gathered(make: Make, count: int) -> None:
    """All at once, by `asyncio.gather`."""
    await asyncio.gather(*[make() for _ in range(count)])


async def in_a_group(make: Make, count: int) -> None:
    """All at once, by a `TaskGroup`; coroutines only."""
    async with asyncio.TaskGroup() as group:
        for _ in range(count):
            group.create_task(make())


async def limited(make: Make, count: int) -> None:
    """A semaphore around each."""
    semaphore = asyncio.Semaphore(LIMIT)

    async def one() -> None:
        async with semaphore:
            await make()

    await asyncio.gather(*[one() for _ in range(count)])


async def in_turn(make: Make, count: int) -> None:
    """Each as it comes, by `asyncio.as_completed`."""
    for each in asyncio.as_completed([make() for _ in range(count)]):
        await each


async def first_of_all(make: Make, count: int) -> None:
    """Those that have come, again and again, by `asyncio.wait`."""
    pending = {make() for _ in range(count)}
    while pending:
        _, pending = await asyncio.wait(pending, return_when=asyncio.FIRST_COMPLETED)
