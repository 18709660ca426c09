"""The coordinator of a streaming split: an actor that runs the dataset and gives its bundles to the consumers."""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from typing import Any

from ray_async.data.block.bundle import RowBundle
from ray_async.data.context import DataContext
from ray_async.data.executor.blocks import reference_of
from ray_async.data.executor.execution import Execution
from ray_async.data.iteration.split_queue import SplitQueue
from ray_async.data.plan import nodes

__all__ = ("SplitCoordinator",)

_logger = logging.getLogger("ray_async.data")

#: Seconds after which a wait for other consumers is logged.
PATIENCE_SECONDS = 10.0
#: Bytes that may wait for a slow consumer before the others have to wait for it too.
WAITING_BYTES = 256 << 20


class SplitCoordinator:
    """Runs a dataset once for each epoch, which begins when all consumers have asked for it.

    Args:
        node: the plan.
        context: settings.
        parts: consumers.
        equal: as for `SplitQueue`.
    """

    def __init__(self, node: nodes.PlanNode, context: DataContext, parts: int, equal: bool) -> None:
        self._node = node
        self._context = context
        self._parts = parts
        self._equal = equal
        self._epoch = 0
        self._arrived: set[int] = set()
        self._active: set[int] = set()
        self._changed = asyncio.Event()
        self._pulling = asyncio.Lock()
        self._queue = SplitQueue(parts, equal)
        self._stream: AsyncIterator[RowBundle] | None = None
        self._over = False
        self._dead: dict[int, int] = {}
        self._watched: dict[int, int] = {}

    async def start_epoch(self, part: int, pid: int) -> int:
        """Wait until all parts ask for the next epoch; its number.

        Args:
            part: who asks.
            pid: its process, whose death the others are to learn of.

        Raises:
            RuntimeError: Another consumer has died.
        """
        self._watch(part, pid)
        self._active.discard(part)
        self._arrived.add(part)
        wanted = self._epoch + 1
        if len(self._arrived) == self._parts:
            await self._begin()
        await self._until(lambda: self._epoch >= wanted, part, self._what_lacks)
        return wanted

    async def next(self, part: int, epoch: int) -> RowBundle | None:
        """The next bundle for a part; None after its last.

        Raises:
            RuntimeError: Another consumer has died; or the epoch is over, since this part asked for another one.
        """
        while True:
            if epoch != self._epoch:
                raise RuntimeError(f"split {part} has begun epoch {self._epoch}, and epoch {epoch} cannot go on")
            self._check_dead(part)
            bundle = self._queue.take(part)
            if bundle is not None:
                self._notify()
                return bundle
            if self._over:
                self._active.discard(part)
                return None
            await self._pull(part)

    def schema(self) -> Any:
        """The dataset's schema, as far as it is known without running it."""
        return self._node.schema()

    async def _begin(self) -> None:
        """A new epoch."""
        await self._close()
        self._epoch += 1
        self._arrived.clear()
        self._active = set(range(self._parts))
        self._queue = SplitQueue(self._parts, self._equal)
        self._over = False
        self._stream = Execution(self._node, self._context).stream()
        self._notify()

    def _notify(self) -> None:
        """Wake all that wait for a change; who waits later waits for the next one."""
        self._changed.set()
        self._changed = asyncio.Event()

    async def _close(self) -> None:
        if self._stream is not None:
            await self._stream.aclose()  # type: ignore[attr-defined]
            self._stream = None

    async def _pull(self, part: int) -> None:
        """Take one bundle out of the execution, once no slow part has too much waiting."""
        slow = self._queue.slowest(part)
        if slow is not None and self._queue.waiting_bytes(slow) > WAITING_BYTES:
            waiting = self._queue.waiting_bytes
            what = f"split {slow}, which is slower"
            await self._until(lambda: waiting(slow) <= WAITING_BYTES, part, lambda: what)
            return
        epoch = self._epoch
        async with self._pulling:
            if epoch != self._epoch or self._over or self._stream is None:
                return
            found = await anext(self._stream, None)
            if epoch != self._epoch:
                return
            if found is None:
                self._over = True
            else:
                self._queue.put(_by_reference(found), part)

    async def _until(self, predicate: Callable[[], bool], part: int, what: Callable[[], str]) -> None:
        """Wait for something, and say now and then what it is."""
        while not predicate():
            self._check_dead(part)
            try:
                async with asyncio.timeout(PATIENCE_SECONDS):
                    await self._changed.wait()
            except TimeoutError:
                _logger.warning("split %d waits for %s", part, what())

    def _what_lacks(self) -> str:
        missing = sorted(set(range(self._parts)) - self._arrived)
        return f"the next epoch, which splits {missing} have not asked for yet"

    # Deaths

    def _watch(self, part: int, pid: int) -> None:
        """Notice the end of a consumer's process."""
        self._dead.pop(part, None)
        if self._watched.get(part) == pid:
            return
        self._watched[part] = pid
        try:
            descriptor = os.pidfd_open(pid)
        except ProcessLookupError:
            self._died(part, pid)
            return
        loop = asyncio.get_running_loop()

        def ended() -> None:
            loop.remove_reader(descriptor)
            os.close(descriptor)
            if self._watched.get(part) == pid:
                self._died(part, pid)

        loop.add_reader(descriptor, ended)

    def _died(self, part: int, pid: int) -> None:
        """A consumer's process has ended; it matters if that was in the middle of an epoch."""
        del self._watched[part]
        if part in self._active:
            self._dead[part] = pid
            self._notify()

    def _check_dead(self, part: int) -> None:
        for other, pid in self._dead.items():
            if other != part:
                raise RuntimeError(f"the consumer of split {other} (process {pid}) has died in the middle of an epoch")


def _by_reference(bundle: RowBundle) -> RowBundle:
    """A bundle whose blocks lie in the store, so that consumers get references."""
    return RowBundle(tuple(replace(piece, handle=reference_of(piece.handle)) for piece in bundle.pieces))
