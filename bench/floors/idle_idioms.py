"""asyncio's idioms without another process: over futures that are ready, or coroutines that only pass the turn on."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping
from typing import Any

from bench.drivers import idioms, protocol

__all__ = ("cases",)


def ready_future() -> asyncio.Future[bytes]:
    """A future that is done."""
    future = asyncio.get_running_loop().create_future()
    future.set_result(b"ok")
    return future


def coming_future() -> asyncio.Future[bytes]:
    """A future that is done in the loop's next turn."""
    loop = asyncio.get_running_loop()
    future = loop.create_future()
    loop.call_soon(future.set_result, b"ok")
    return future


async def turn() -> None:
    """A coroutine that gives the others their turn."""
    await asyncio.sleep(0)


def gather_futures(params: Mapping[str, Any]) -> Mapping[str, float]:
    """Gather over futures that were made before, whose making is not counted."""

    async def measure() -> dict[str, float]:
        batch, spent, count = int(params["batch"]), 0.0, 0
        while spent < float(params["seconds"]):
            futures = [ready_future() for _ in range(batch)]
            start = time.perf_counter()
            await asyncio.gather(*futures)
            spent += time.perf_counter() - start
            count += batch
        return {"wall": spent / count}

    return idioms.run_loop(measure())


def cases() -> dict[str, protocol.Case]:
    """The cases by name."""

    def made(one: Callable[[], Any]) -> Callable[[], Callable[[], Any]]:
        return lambda: one

    return {
        "gather_futures": gather_futures,
        "group_coroutines": idioms.case(idioms.in_a_group, made(turn)),
        "limited_coroutines": idioms.case(idioms.limited, made(turn)),
        "each_future": idioms.case(idioms.in_turn, made(coming_future)),
        "first_futures": idioms.case(idioms.first_of_all, made(coming_future)),
    }
