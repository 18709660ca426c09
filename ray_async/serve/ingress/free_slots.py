"""News of free slots: a replica that was full tells a process in which requests wait, instead of being looked at."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Callable
from pathlib import Path

from ray_async.serve.board import SLOTS, Board

__all__ = ("FreeSlots", "free_path")


def free_path(folder: Path, place: int) -> Path:
    """The socket by which the replica in a slot of the board hears of free slots."""
    return folder / f"replica-{place}-free.sock"


class FreeSlots:
    """Hears and tells of free slots of one deployment; news that are lost cost a look at the board.

    Args:
        folder: Serve's folder.
        board: The board.
        place: The slot on the board of the replica that is here.
        heard: Called when another replica of the deployment has become free.
    """

    def __init__(self, folder: Path, board: Board, place: int, heard: Callable[[], None]) -> None:
        self._folder = folder
        self._board = board
        self._place = place
        self._heard = heard
        self._path = free_path(folder, place)
        self._path.unlink(missing_ok=True)
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.setblocking(False)
        self._socket.bind(str(self._path))
        board.set_waiting(place, 0)
        asyncio.get_running_loop().add_reader(self._socket.fileno(), self._hear)

    def _hear(self) -> None:
        with contextlib.suppress(BlockingIOError):
            while True:
                self._socket.recv(1)
                self._heard()

    def wait(self, count: int) -> None:
        """Note how many requests wait here."""
        self._board.set_waiting(self._place, count)

    def tell(self, places: list[int]) -> None:
        """Tell that a slot is free here.

        Args:
            places: The replicas of the deployment; the one of them in whose process most requests wait hears it.
        """
        most, chosen = 0, SLOTS
        for place in places:
            waiting = self._board.waiting(place)
            if waiting > most and place != self._place:
                most, chosen = waiting, place
        if most:
            with contextlib.suppress(OSError):  # it has ended, or has news enough
                self._socket.sendto(b"f", str(free_path(self._folder, chosen)))

    def close(self) -> None:
        """Hear and tell nothing any more."""
        self._board.set_waiting(self._place, 0)
        asyncio.get_running_loop().remove_reader(self._socket.fileno())
        self._socket.close()
        self._path.unlink(missing_ok=True)
