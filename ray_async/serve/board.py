"""The board: what callers read of replicas without asking anybody.

A file in the session's folder, mapped by all: a version, which the controller counts up whenever it has replaced the
table of routes beside it, and for each replica a slot with its state and the number of its ongoing requests. Each cell
has one writer, so a kill leaves no cell half written; the session's end removes the file.
"""

from __future__ import annotations

import json
import mmap
import os
from pathlib import Path
from typing import Any

__all__ = ("CONSTRUCTING", "DRAINING", "EMPTY", "RUNNING", "SLOTS", "Board")

SLOTS = 4096
_WORDS = 16  # of four bytes: a cache line for each slot, so that replicas do not slow each other
EMPTY, CONSTRUCTING, RUNNING, DRAINING = range(4)


class Board:
    """A mapping of the board.

    Args:
        folder: Serve's folder.
        create: Whether to make the file where it is missing.
    """

    def __init__(self, folder: Path, create: bool = False) -> None:
        self._folder = folder
        size = (SLOTS + 1) * _WORDS * 4
        descriptor = os.open(folder / "board", os.O_RDWR | (os.O_CREAT if create else 0), 0o600)
        try:
            if create:
                os.ftruncate(descriptor, size)
            self._map = mmap.mmap(descriptor, size)
        finally:
            os.close(descriptor)
        self._cells = memoryview(self._map).cast("I")

    @property
    def version(self) -> int:
        """The version of the table."""
        return self._cells[0]

    def state(self, slot: int) -> int:
        """A replica's state."""
        return self._cells[(slot + 1) * _WORDS]

    def set_state(self, slot: int, state: int) -> None:
        """Note a replica's state."""
        self._cells[(slot + 1) * _WORDS] = state

    def ongoing(self, slot: int) -> int:
        """How many requests a replica is working on."""
        return self._cells[(slot + 1) * _WORDS + 1]

    def set_ongoing(self, slot: int, count: int) -> None:
        """Note how many requests a replica is working on."""
        self._cells[(slot + 1) * _WORDS + 1] = count

    def publish(self, table: dict[str, Any]) -> None:
        """Replace the table, then count up the version: who sees the version finds that table, or a newer one."""
        new = self._folder / "table.new"
        new.write_text(json.dumps(table))
        new.replace(self._folder / "table.json")
        self._cells[0] = (self._cells[0] + 1) & 0xFFFFFFFF

    def table(self) -> dict[str, Any]:
        """The table of routes and replicas."""
        table: dict[str, Any] = json.loads((self._folder / "table.json").read_text())
        return table

    def close(self) -> None:
        """Unmap the file."""
        self._cells.release()
        self._map.close()
