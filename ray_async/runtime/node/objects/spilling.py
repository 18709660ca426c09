"""Objects to disk when the store is full, and back when they are wanted."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Callable

from ray_async import exceptions as errors
from ray_async._core.spill_view import SpillView
from ray_async.config import (
    AUTOMATIC_OBJECT_SPILLING,
    LINEAGE_PINNING_ENABLED,
    LOCAL_FS_CAPACITY_THRESHOLD,
    OBJECT_SPILLING_THRESHOLD,
    SPILL_BUDGET_BYTES,
    Settings,
)
from ray_async.runtime.node.arena_views import ArenaViews
from ray_async.runtime.node.dispatch import Dispatch
from ray_async.runtime.node.objects.spill_files import SpillFiles
from ray_async.runtime.node.other_nodes import NodeMembership

__all__ = ("Spilling",)

_logger = logging.getLogger("ray_async.node")

_BATCH_BYTES = 64 << 20


class Spilling:
    """Moves the oldest objects that nobody looks at into files, one for each object.

    Requests are carried out one after the other, in their order, while the node does other things.

    Args:
        views: of the arena.
        settings: limits of memory and disk.
        directory: where the files are.
        dispatch: calls what is to be done later.
        cluster: whose other nodes may have values of objects.
        warn: shows a line to drivers.
        run_again: called with a record that is to compute its lost results again.
    """

    def __init__(
        self,
        views: ArenaViews,
        settings: Settings,
        directory: str,
        dispatch: Dispatch,
        cluster: NodeMembership,
        *,
        warn: Callable[[str], None],
        run_again: Callable[[int], None],
    ) -> None:
        self._processes = views.processes
        self._payloads = SpillView(views.arena)
        self._records = views.records
        self._objects = views.objects
        self._executor = views.executor
        self._dispatch = dispatch
        self._cluster = cluster
        self._run_again = run_again
        self._stuck = 0
        self._requests: deque[tuple[Callable[[int], Awaitable[None]], int]] = deque()
        self._runner: asyncio.Task[None] | None = None
        self._enabled = settings.get(AUTOMATIC_OBJECT_SPILLING)
        self._rebuilds = settings.get(LINEAGE_PINNING_ENABLED)
        self._threshold = settings.get(OBJECT_SPILLING_THRESHOLD)
        self._files = SpillFiles(
            directory,
            settings.get(SPILL_BUDGET_BYTES),
            settings.get(LOCAL_FS_CAPACITY_THRESHOLD),
            lambda error: warn(f"objects cannot be spilled to {directory}: {error}"),
            lambda: views.arena.overflow,
            self._payloads.set_on_disk,
        )

    def make_room(self, wanted: int) -> None:
        """A process waits for so many bytes: spill at least that much."""
        self._request(self._make_room, wanted)

    def wanted(self, entry: int) -> None:
        """A spilled object is to be read, or nobody refers to it any more."""
        self._request(self._bring_back, entry)

    def tick(self) -> None:
        """Spill ahead of need, when the store is nearly full."""
        figures = self._processes.statistics()
        excess = figures["used"] - int(figures["limit"] * self._threshold)
        if excess > 0 and self._stuck < 3 and self._runner is None and not self._processes.mend_used():
            self._request(self._spill_ahead, min(excess, _BATCH_BYTES))

    def remove_files(self) -> None:
        """The session ends."""
        self._files.remove_all()

    def _request(self, action: Callable[[int], Awaitable[None]], argument: int) -> None:
        self._requests.append((action, argument))
        if self._runner is None:
            self._runner = asyncio.get_running_loop().create_task(self._carry_out())

    async def _carry_out(self) -> None:
        while self._requests:
            action, argument = self._requests.popleft()
            try:
                await action(argument)
            except Exception:  # what a request finds in the arena is other processes' doing: the next one may go well
                _logger.exception("%s(%d) failed", action.__qualname__, argument)
        self._runner = None

    # -- to disk -------------------------------------------------------------------------------------------------------

    async def _make_room(self, wanted: int) -> None:
        freed = await self._spill(max(wanted, 1 << 20)) > 0 or self._processes.mend_used()
        self._stuck = 0 if freed else self._stuck + 1
        self._payloads.set_spill_stuck(self._stuck)

    async def _spill_ahead(self, wanted: int) -> None:
        await self._spill(wanted)

    async def _spill(self, wanted: int) -> int:
        freed = 0
        for entry in self._payloads.spill_candidates(wanted) if self._enabled else ():
            data = self._payloads.spill_begin(entry)
            if data is None:
                continue
            size = len(data)
            if not self._files.have_room(size):
                self._payloads.spill_failed(entry)
                break
            number = await self._files.write(data)
            if number:
                self._payloads.spill_done(entry, number)
                freed += size
            else:
                self._payloads.spill_failed(entry)
        return freed

    def lose_copies(self, number: int) -> None:
        """A logical node is gone, and large values of which no other one has a copy: as if their files were lost.

        What may be computed again, but cannot be (a stream, a call of an actor, arguments that are gone), stays, and so
        does what was put.
        """
        for entry, file in self._payloads.copies_lost(number):
            if self._rebuilds and self._must_stay(entry):
                self._payloads.keep(entry)
            elif file:
                self._files.remove(file)
            else:
                self._payloads.drop(entry, self._files.new_number())

    def _must_stay(self, entry: int) -> bool:
        record = self._records.record_of(entry)
        if not record:
            return True
        return not self._records.can_rebuild(record) and bool(self._executor.facts(record)["retries"])

    # -- back ----------------------------------------------------------------------------------------------------------

    async def _bring_back(self, entry: int) -> None:
        facts = self._payloads.spilled(entry)
        if facts is None:
            return
        number, size, unreferenced = facts
        if self._cluster.others.wanted(entry, number, unreferenced):
            return  # its value lies on another node
        if unreferenced:
            await self._forget(entry, number)
            return
        memory = self._payloads.restore_begin(entry)
        if memory is None:
            await self._make_room(size)
            memory = self._payloads.restore_begin(entry)
        if memory is None and self._stuck > 2:
            # Readers hold the memory: from the file that maps like memory it can be read too.
            memory = self._payloads.restore_begin(entry, overflow=True)
        if memory is None:
            if not await self._exchange(entry, number, size):
                self._try_again(entry)
            return
        payload, target = memory
        if not await self._files.read(number, target):
            self._payloads.restore_failed(entry, payload)
            self._lost(entry, number)
            return
        del target, memory
        self._payloads.restore_done(entry, payload)
        self._files.remove(number)

    def _try_again(self, entry: int) -> None:
        if self._stuck <= 2:
            self._dispatch.later(0.05, lambda: self.wanted(entry))
            return
        error = errors.ObjectStoreFullError(
            "no room to bring a spilled object back: too much of the store is in use. Drop references and "
            "arrays that are not needed any more, or start with a larger object_store_memory."
        )
        self._payloads.lose(entry, errors.to_payload(error))

    async def _exchange(self, entry: int, number: int, size: int) -> bool:
        """Memory and disk are both full: take the object off the disk first, which makes room there for others.

        Returns False when all in memory is in use; then the object is on disk again.
        """
        data = memoryview(bytearray(size))
        if not await self._files.read(number, data):
            return False
        self._files.remove(number)
        await self._make_room(size)
        memory = self._payloads.restore_begin(entry)
        if memory is None:
            # Nothing was moved into its place, or not enough: as long as this request lasts, nobody else spills.
            if not await self._files.rewrite(number, data):
                self._files.keep(number, data)  # the disk filled up meanwhile, by somebody else's doing
            return False
        payload, target = memory
        target[:] = data
        del target, memory
        self._payloads.restore_done(entry, payload)
        return True

    def forget_elsewhere(self, entry: int) -> None:
        """Nobody refers to an object whose value lies on another node."""
        self._payloads.forget(entry)

    def lost_elsewhere(self, entry: int, number: int) -> None:
        """An object's value lay on another node that is gone."""
        self._lost(entry, number)

    def _lost(self, entry: int, number: int) -> None:
        """The file is gone: run the task again that made the object, if that is possible."""
        self._files.remove(number)
        record = self._records.record_of(entry)
        numbers = self._records.rebuild(record) if record and self._rebuilds else None
        if numbers is not None:
            for each in numbers:  # the task's other results come anew, too
                self._files.remove(each)
            self._run_again(record)
            return
        if not record:
            reason = errors.ReconstructionFailure.PUT
        elif not self._rebuilds:
            reason = errors.ReconstructionFailure.LINEAGE_DISABLED
        elif (facts := self._executor.facts(record))["retries"] == 0:
            again = facts["attempt"] > 0
            failures = errors.ReconstructionFailure
            reason = failures.MAX_ATTEMPTS_EXCEEDED if again else failures.RETRIES_DISABLED
        else:
            reason = errors.ReconstructionFailure.LINEAGE_EVICTED
        ref = self._objects.reference(entry)
        error = errors.ObjectReconstructionFailedError(ref.hex(), reason)
        self._payloads.lose(entry, errors.to_payload(error))

    async def _forget(self, entry: int, number: int) -> None:
        """Nobody refers to a spilled object: its references inside go, and the file."""
        memory = self._payloads.restore_begin(entry)
        if memory is not None and await self._files.read(number, memory[1]):
            # Back in memory it is freed like any other value, and what it refers to as well.
            payload = memory[0]
            del memory
            self._payloads.restore_done(entry, payload)
        else:
            if memory is not None:
                self._payloads.restore_failed(entry, memory[0])
            self._payloads.forget(entry)
        self._files.remove(number)
