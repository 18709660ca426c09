"""Streams: the outputs of calls that give them while they run, read as fast as the machine wants them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from ray_async.data.executor.instructions import StageResult

__all__ = ("StreamReaders",)


class StreamReaders:
    """The supervisor of the readers of one execution: each reads one call's stream, and is done when that ends.

    Args:
        wants: whether a call should give its next output.
    """

    def __init__(self, wants: Callable[[int], bool]) -> None:
        self._wants = wants
        self._tasks: set[asyncio.Task[StageResult]] = set()
        self._changed = asyncio.Event()

    def read(self, call: int, generator: Any, given: Callable[[StageResult], None]) -> asyncio.Task[StageResult]:
        """Begin to read.

        Args:
            call: number of the call.
            generator: its stream.
            given: is called with each output.

        Returns:
            A future that has a result without outputs at the stream's end, or what the call raised.
        """
        task = asyncio.get_running_loop().create_task(self._read(call, generator, given))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    def look_again(self) -> None:
        """The machine may want other outputs now than before."""
        if self._tasks:
            self._changed.set()
            self._changed = asyncio.Event()

    async def close(self) -> None:
        """End all readers, and with them the calls that they read."""
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _read(self, call: int, generator: Any, given: Callable[[StageResult], None]) -> StageResult:
        first, seconds = StageResult(), 0.0
        try:
            while True:
                while not self._wants(call):
                    await self._changed.wait()
                reference = await anext(generator, None)
                if reference is None:
                    return replace(first, outputs=(), seconds=seconds)
                result = await reference
                first = first if seconds else result
                seconds += result.seconds
                given(result)
        finally:
            generator.close()
