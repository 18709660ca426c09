"""Cancels that go on to what a task, or a cancel scope, has started, and to what that has started.

A task that is being cancelled may submit more until the cancel has reached it. So a cancel is kept, and carried on to
newcomers, until a look over all records finds that nobody is left who could submit.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ray_async.runtime.node.process import Node

__all__ = ("Cancels",)

KIND_TASK, KIND_ACTOR_INIT = 0, 1
CANCELLED, FORCED = 1, 2
Row = tuple[int, int, int, int, int, int, int]


class Cancels:
    """Looks after cancels of descendants.

    Args:
        node: the process's parts.
    """

    def __init__(self, node: Node) -> None:
        self._node = node
        #: Offset and number of each record whose children are to be cancelled, and whether by force.
        self._parents: dict[tuple[int, int], bool] = {}
        self._scopes: set[int] = set()
        self._quiet: set[int] = set()
        self._scheduled = False

    def children(self, record: int, seq: int, force: bool) -> None:
        """Cancel what a task has submitted and will submit until it knows of its cancel, and what that has."""
        self._parents[record, seq] = self._parents.get((record, seq), False) or force
        self._schedule()

    def scope(self, scope: int) -> None:
        """Cancel everything that was submitted in a scope, whoever did it."""
        self._scopes.add(scope)
        self._schedule()

    def tick(self) -> None:
        """Look again, while there may be newcomers."""
        if self._parents or self._scopes:
            self._schedule()

    def _schedule(self) -> None:
        # Many cancels come together; one look over the records serves them all.
        if not self._scheduled:
            self._scheduled = True
            asyncio.get_running_loop().call_soon(self._look)

    def _look(self) -> None:
        self._scheduled = False
        # Whoever has ended before the look cannot have submitted anything that the look does not see.
        ended = [key for key in self._parents if not self._node.tasks.is_unfinished(*key)]
        rows = self._node.records.unfinished_descendants()
        children: dict[tuple[int, int], list[Row]] = {}
        for row in rows:
            children.setdefault((row[2], row[3]), []).append(row)
        self._end_scopes(rows)
        todo = list(self._parents)
        while todo:
            key = todo.pop()
            for row in children.pop(key, []):
                child = (row[0], row[1])
                self._cancel(row, self._parents[key])
                if child not in self._parents:
                    self._parents[child] = self._parents[key]
                    todo.append(child)
        for key in ended:
            del self._parents[key]

    def _end_scopes(self, rows: list[Row]) -> None:
        left = {row[4] for row in rows} & self._scopes
        for row in rows:
            if row[4] in left:
                self._cancel(row, force=False)
                self._parents.setdefault((row[0], row[1]), False)
        # One look may miss a record that takes the place of another behind its back; two looks in a row do not.
        for scope in self._scopes - left:
            if scope in self._quiet:
                self._scopes.discard(scope)
        self._quiet = self._scopes - left

    def _cancel(self, row: Row, force: bool) -> None:
        record, _, _, _, _, kind, flags = row
        force = force and kind == KIND_TASK
        # Once is enough: a second interrupt would hit the task's own cleaning up.
        if kind == KIND_ACTOR_INIT or (flags & CANCELLED and (flags & FORCED or not force)):
            return
        self._node.tasks.cancel(record, force)
