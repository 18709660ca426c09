"""Slots: how many requests a replica works on at a time, as callers see it on the board."""

from __future__ import annotations

import asyncio
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
        self._board = board
        self.place = place
        self._ongoing = 0
        self._idle = asyncio.Event()
        self._idle.set()

    @property
    def ongoing(self) -> int:
        """How many requests are worked on."""
        return self._ongoing

    @property
    def free(self) -> bool:
        """Whether a request may be taken."""
        return self._ongoing < self.limit and not self.draining

    def __enter__(self) -> None:
        self._ongoing += 1
        self._idle.clear()
        self._board.set_ongoing(self.place, self._ongoing)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ongoing -= 1
        self._board.set_ongoing(self.place, self._ongoing)
        if not self._ongoing:
            self._idle.set()

    def drain(self) -> None:
        """Take no more requests."""
        self.draining = True
        self._board.set_state(self.place, DRAINING)

    async def idle(self) -> None:
        """Wait until nothing is worked on."""
        await self._idle.wait()
