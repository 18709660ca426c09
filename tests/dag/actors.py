"""Actors that graphs are made of."""

from __future__ import annotations

import asyncio
import os
import threading
import time
from pathlib import Path
from typing import Any

import ray_async as ray


@ray.remote(num_cpus=0)
class Worker:
    """Adds up what it is given."""

    def __init__(self, total: int = 0) -> None:
        self.total = total

    def add(self, x: int, y: int = 0) -> int:
        self.total += x + y
        return self.total

    def echo(self, x: Any) -> Any:
        return x

    def combine(self, *values: Any, **more: Any) -> list[Any]:
        return [*values, *sorted(more.items())]

    @ray.method(num_returns=2)
    def split(self, x: int) -> tuple[int, ...]:
        return (x, x + 1) if x >= 0 else (x,)

    def fail(self, x: int) -> int:
        if x % 2 == 0:
            raise ValueError(f"{x} is even")
        return x

    def unstorable(self, x: int) -> Any:
        return threading.Lock()

    def die(self, x: int) -> int:
        if x < 0:
            os._exit(7)
        return x

    def wait_for(self, path: str) -> str:
        Path(f"{path}.begun").touch()
        while not os.path.exists(path):
            time.sleep(0.005)
        return path

    def writable(self, array: Any) -> bool:
        return bool(array.flags.writeable)

    def pid(self) -> int:
        return os.getpid()


@ray.remote(num_cpus=0)
class Async:
    """Has a loop."""

    def __init__(self) -> None:
        self.event = asyncio.Event()

    async def echo(self, x: Any) -> Any:
        await asyncio.sleep(0)
        return x

    async def rendezvous(self, x: Any) -> Any:
        """Waits on the actor's own loop for `release`."""
        await self.event.wait()
        return x

    async def release(self) -> None:
        self.event.set()
