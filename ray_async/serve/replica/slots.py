"""Slots: how many requests a replica works on at a time, as callers see it on the board."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from types import TracebackType

from ray_async.serve.board import DRAINING, Board

__all__ = ("Slots",)


class Slots:
    """Counts the ongoing requests; used on the replica's loop alone. As a context manager it takes one slot.

    Args:
        board: The board.
        place: The replica's slot on the board.
        limit: The most requests at a time.
    """

    def __init__(self, board: Board, place: int, limit: int) -> None:
        self.limit = limit
        self.draining = False
        self.on_free: Callable[[], None] | None = None  # called when a slot is free and none was before
        self._board = board
        self._cells, self._cell = board.cells, board.cell_of_state(place) + 1
        self.place = place
        self._ongoing = 0
        self._waits_for_idle: set[asyncio.Event] = set()

    @property
    def ongoing(self) -> int:
        """How many requests are worked on."""
        return self._ongoing

    @property
    def free(self) -> bool:
        """Whether a request may be taken."""
        return self._ongoing < self.limit and not self.draining

    def take(self) -> None:
        """Take a slot."""
        self._ongoing = self._cells[self._cell] = self._ongoing + 1

    def release(self) -> None:
        """Give a slot back."""
        self._ongoing = self._cells[self._cell] = ongoing = self._ongoing - 1
        if ongoing == self.limit - 1 and self.on_free is not None and not self.draining:
            self.on_free()
        if not self._ongoing:
            for waiter in self._waits_for_idle:
                waiter.set()

    __enter__ = take

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()

    def drain(self) -> None:
        """Take no more requests."""
        self.draining = True
        self._board.set_state(self.place, DRAINING)

    async def idle(self) -> None:
        """Wait until nothing is worked on."""
        while self._ongoing:
            waiter = asyncio.Event()
            self._waits_for_idle.add(waiter)
            try:
                await waiter.wait()
            finally:
                self._waits_for_idle.discard(waiter)
