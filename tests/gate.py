"""A gate that tests hold calls at."""

from __future__ import annotations

import asyncio

import ray_async as ray

__all__ = ("Gate",)


@ray.remote(num_cpus=0)
class Gate:
    """Calls of `wait` return when `open` was called."""

    def __init__(self) -> None:
        self._opened = asyncio.Event()

    async def wait(self) -> str:
        await self._opened.wait()
        return "open"

    async def open(self) -> None:
        self._opened.set()
