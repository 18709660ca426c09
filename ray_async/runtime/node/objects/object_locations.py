"""Locations of objects: the logical nodes with a copy of each, which a removed node takes along."""

from __future__ import annotations

import itertools
from collections.abc import Callable

__all__ = ("ObjectLocations",)

# Numbers stand for bits of a word in each object's entry; the first node's is 0.
_MAX_LOGICAL_NODES = 32
_MAX_PAST_NODES = 1000  # removed nodes, whose workers may not have ended yet


class ObjectLocations:
    """Numbers of logical nodes, and what is lost when one is removed.

    Args:
        head: id of the first node.
        lose_copies: called with the number of a node whose copies of objects are lost.
    """

    def __init__(self, head: str, lose_copies: Callable[[int], None]) -> None:
        self._lose_copies = lose_copies
        self._numbers: dict[str, int] = {head: 0}
        self._next = itertools.cycle(range(1, _MAX_LOGICAL_NODES))
        self._removed: dict[str, None] = {}

    def node_added(self, node_id: str) -> None:
        """Give a node the number that has been out of use for longest; past 31 nodes, numbers are shared."""
        taken = {number for name, number in self._numbers.items() if name not in self._removed}
        free = (number for number in itertools.islice(self._next, _MAX_LOGICAL_NODES - 1) if number not in taken)
        self._numbers[node_id] = next(free, _MAX_LOGICAL_NODES - 1)

    def number(self, node_id: str) -> int:
        """A node's number."""
        return self._numbers[node_id]

    def numbers(self) -> dict[str, int]:
        """Numbers of the living nodes."""
        return {name: number for name, number in self._numbers.items() if name not in self._removed}

    def node_removed(self, node_id: str) -> None:
        """Lose what only this node had."""
        self._removed[node_id] = None
        self._lose(node_id)
        if len(self._removed) > _MAX_PAST_NODES:
            oldest = next(iter(self._removed))
            del self._removed[oldest], self._numbers[oldest]

    def worker_ended(self, node_id: str) -> None:
        """What a worker of a removed node still had in use is lost when the worker is gone."""
        if node_id in self._removed:
            self._lose(node_id)

    def _lose(self, node_id: str) -> None:
        number = self._numbers[node_id]
        if number not in self.numbers().values():
            self._lose_copies(number)
