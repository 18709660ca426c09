"""A gate that requests are held at, and a deployment whose requests wait there."""

import asyncio
from typing import Any

from ray_async import serve

__all__ = ("Gate", "Gated")


class Gate:
    """Counts what has come, and lets it go when told so."""

    def __init__(self) -> None:
        self.entered = self.cancelled = 0
        self.event = asyncio.Event()

    async def wait(self) -> None:
        self.entered += 1
        try:
            await self.event.wait()
        except asyncio.CancelledError:
            self.cancelled += 1
            raise

    async def arrive(self) -> None:
        self.entered += 1

    async def open(self) -> None:
        self.event.set()

    async def shut(self) -> None:
        self.event.clear()

    async def counts(self) -> tuple[int, int]:
        return self.entered, self.cancelled


@serve.deployment
class Gated:
    def __init__(self, gate: Any) -> None:
        self.gate = gate

    async def __call__(self, value: Any = None) -> Any:
        await self.gate.wait.remote()
        return value
