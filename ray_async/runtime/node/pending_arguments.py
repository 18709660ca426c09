"""Pending arguments of records: waits that end when all are there, those too that are on disk or lost."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ray_async._core.execution import Executor
from ray_async._core.loop_waiter import LoopWaiter
from ray_async.runtime.node.other_nodes import NodeMembership

__all__ = ("ArgumentWatch", "PendingArguments")


class PendingArguments:
    """Counts the arguments of one record that are not there yet; a future as the loop waiter knows it.

    Args:
        record: the record.
        ready: called with the record when all are there, or have failed.
    """

    __slots__ = ("_left", "_ready", "record", "refs")

    def __init__(self, record: int, ready: Callable[[int], None]) -> None:
        self.record = record
        self._ready = ready
        self._left = 1
        self.refs: list[Any] = []

    def add(self) -> None:
        """There is another argument to wait for."""
        self._left += 1

    def done(self) -> bool:
        """Never: each completion counts."""
        return False

    def set_result(self, _: None) -> None:
        """One argument more is complete."""
        self._left -= 1
        if self._left == 0:
            self._ready(self.record)

    def set_exception(self, error: BaseException) -> None:
        """The node does not fail its own waits."""
        raise error


class ArgumentWatch:
    """Watches the arguments of records; what is on disk is brought back, what is lost is computed again.

    Args:
        executor: names a record's arguments.
        waiter: of the node's loop.
        cluster: whose other nodes may hold arguments.
    """

    def __init__(self, executor: Executor, waiter: LoopWaiter, cluster: NodeMembership) -> None:
        self._executor = executor
        self._waiter = waiter
        self._cluster = cluster

    def start(self, pending: PendingArguments) -> None:
        """Watch the arguments of a record; it may have all of them already."""
        is_elsewhere = self._cluster.others.is_elsewhere
        for ref in self._executor.direct_refs(pending.record):
            if is_elsewhere(ref):
                continue  # the task may run where it lies; else its worker has it brought
            pending.add()
            if self._waiter.watch(ref, pending):
                pending.refs.append(ref)
            else:
                pending.set_result(None)
        pending.set_result(None)

    def stop(self, pending: PendingArguments) -> None:
        """Wait no more: the record is over."""
        for ref in pending.refs:
            self._waiter.forget(ref, pending)
        pending.refs.clear()
