"""Waiting for the arguments of a record, those too that are on disk or lost."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ray_async.runtime.node.node import Node

__all__ = ("PendingArguments",)


class PendingArguments:
    """Counts the arguments of one record that are not there yet; a future as the loop waiter knows it.

    Args:
        record: the record.
        ready: called with the record when all are there, or have failed.
    """

    __slots__ = ("_left", "_ready", "_record", "_refs")

    def __init__(self, record: int, ready: Callable[[int], None]) -> None:
        self._record = record
        self._ready = ready
        self._left = 1
        self._refs: list[Any] = []

    def start(self, node: Node) -> None:
        """Watch the arguments; what is on disk is brought back, what is lost is computed again."""
        for ref in node.executor.direct_refs(self._record):
            if node.cluster is not None and node.cluster.is_elsewhere(ref):
                continue  # the task may run where it lies; else its worker has it brought
            self._left += 1
            if node.waiter.watch(ref, self):
                self._refs.append(ref)
            else:
                self._left -= 1
        self.set_result(None)

    def stop(self, node: Node) -> None:
        """Wait no more: the record is over."""
        for ref in self._refs:
            node.waiter.forget(ref, self)
        self._refs.clear()

    def done(self) -> bool:
        """Never: each completion counts."""
        return False

    def set_result(self, _: None) -> None:
        """One argument more is complete."""
        self._left -= 1
        if self._left == 0:
            self._ready(self._record)

    def set_exception(self, error: BaseException) -> None:
        """The node does not fail its own waits."""
        raise error
