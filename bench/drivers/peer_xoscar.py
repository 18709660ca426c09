"""Driver of xoscar, which has actors and no tasks: a pool of processes on one machine, called from an event loop."""

from __future__ import annotations

import asyncio
import importlib.metadata
import os
from collections.abc import Mapping
from typing import Any

import xoscar

from bench.drivers import protocol


class Actor(xoscar.Actor):  # type: ignore[misc, unused-ignore]
    """The no-op actor."""

    async def small_value(self) -> bytes:
        return b"ok"


class Cases:
    """The cases over one pool and one actor outside the driver's process."""

    def __init__(self) -> None:
        self.loop = asyncio.new_event_loop()
        self.pool: Any = None
        self.actor: Any = None

    async def _start(self) -> None:
        if self.actor is None:
            self.pool = await xoscar.create_actor_pool("127.0.0.1", n_process=max(2, os.cpu_count() or 2))
            strategy = xoscar.allocate_strategy.ProcessIndex(1)
            address = self.pool.external_address
            self.actor = await xoscar.create_actor(Actor, address=address, uid="small", allocate_strategy=strategy)

    def actor_await(self, params: Mapping[str, Any]) -> Mapping[str, float]:
        async def measure() -> dict[str, float]:
            await self._start()
            return await protocol.repeat_async(self.actor.small_value, params)

        return self.loop.run_until_complete(measure())

    def actor_pipelined(self, params: Mapping[str, Any]) -> Mapping[str, float]:
        batch = int(params["batch"])

        async def calls() -> None:
            await asyncio.gather(*(self.actor.small_value() for _ in range(batch)))

        async def measure() -> dict[str, float]:
            await self._start()
            found = await protocol.repeat_async(calls, params)
            return {name: value / batch for name, value in found.items()}

        return self.loop.run_until_complete(measure())

    def close(self) -> None:
        if self.pool is not None:
            self.loop.run_until_complete(self.pool.stop())


if __name__ == "__main__":
    cases = Cases()
    served: dict[str, protocol.Case] = {"async_actor_await": cases.actor_await}
    protocol.serve(
        {**served, "async_actor_pipelined": cases.actor_pipelined}, importlib.metadata.version("xoscar"), cases.close
    )
