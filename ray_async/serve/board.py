"""The board: what callers read of replicas without asking anybody.

A file in the session's folder, mapped by all: a version, which the controller counts up whenever it has replaced the
table of routes beside it, and for each replica a slot with its state, the number of its ongoing requests, its process
and the version of the list of its models, which is a file beside it too. Each cell has one writer, so a kill leaves no
cell half written; the session's end removes the file.
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
    def folder(self) -> Path:
        """Serve's folder."""
        return self._folder

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

    @property
    def cells(self) -> memoryview[int]:
        """All cells, for who looks at some of them, or writes one, with each request."""
        return self._cells

    @staticmethod
    def cell_of_state(slot: int) -> int:
        """The place in the cells of a replica's state; behind it is the number of its ongoing requests.

        The first cell of all is the table's version.
        """
        return (slot + 1) * _WORDS

    def pid(self, slot: int) -> int:
        """A replica's process; 0 while there is none."""
        return self._cells[(slot + 1) * _WORDS + 3]

    def set_pid(self, slot: int, pid: int) -> None:
        """Note a replica's process."""
        self._cells[(slot + 1) * _WORDS + 3] = pid

    def clear(self, slot: int) -> None:
        """Note that a slot has no replica."""
        self.set_state(slot, EMPTY)
        self.set_ongoing(slot, 0)
        self.set_pid(slot, 0)
        self.set_waiting(slot, 0)

    def waiting(self, slot: int) -> int:
        """How many requests wait in a replica's process for any replica of its deployment."""
        return self._cells[(slot + 1) * _WORDS + 4]

    def set_waiting(self, slot: int, count: int) -> None:
        """Note how many requests wait in a replica's process."""
        self._cells[(slot + 1) * _WORDS + 4] = count

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

    def models_version(self, slot: int) -> int:
        """The version of the list of models that a replica has."""
        return self._cells[(slot + 1) * _WORDS + 2]

    def models(self, slot: int) -> list[str]:
        """The ids of the models that a replica has."""
        try:
            models: list[str] = json.loads((self._folder / f"models-{slot}.json").read_text())
        except FileNotFoundError:
            return []
        return models

    def publish_models(self, slot: int, models: list[str]) -> None:
        """Replace the list of a replica's models, then count up its version."""
        path = self._folder / f"models-{slot}.json"
        if models:
            new = path.with_suffix(".new")
            new.write_text(json.dumps(models))
            new.replace(path)
        else:
            path.unlink(missing_ok=True)
        cell = (slot + 1) * _WORDS + 2
        self._cells[cell] = (self._cells[cell] + 1) & 0xFFFFFFFF

    def routing_version(self, slot: int) -> int:
        """The version of what a replica tells routers of the user's."""
        return self._cells[(slot + 1) * _WORDS + 5]

    def routing(self, slot: int) -> dict[str, Any]:
        """What a replica tells routers of the user's: its node, and what its class records."""
        try:
            told: dict[str, Any] = json.loads((self._folder / f"routing-{slot}.json").read_text())
        except FileNotFoundError:
            return {}
        return told

    def publish_routing(self, slot: int, told: dict[str, Any]) -> None:
        """Replace what a replica tells routers, then count up its version; nothing where it tells nothing.

        Raises:
            TypeError: What JSON does not have.
        """
        path = self._folder / f"routing-{slot}.json"
        if not told and not path.exists():
            return
        new = path.with_suffix(".new")
        new.write_text(json.dumps(told))
        new.replace(path)
        cell = (slot + 1) * _WORDS + 5
        self._cells[cell] = (self._cells[cell] + 1) & 0xFFFFFFFF

    def close(self) -> None:
        """Unmap the file."""
        self._cells.release()
        self._map.close()
