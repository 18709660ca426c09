"""Failures of records: the node ends a record with an error, and has the history remember that."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from ray_async import exceptions as errors
from ray_async._core import submission
from ray_async.ids import TaskID
from ray_async.runtime.node.arena_views import ArenaViews
from ray_async.runtime.node.guard import guarded
from ray_async.runtime.node.task_history import TaskHistory
from ray_async.runtime.node.task_listing import TaskListing

if TYPE_CHECKING:
    from ray_async._core.record_facts import RecordFacts

__all__ = ("RecordFailures",)


class RecordFailures:
    """Fails records, one or a whole queue of them.

    Args:
        views: of the arena.
        listing: gives the row of a record.
        history: keeps the rows of what has failed.
    """

    def __init__(self, views: ArenaViews, listing: TaskListing, history: TaskHistory) -> None:
        self._arena = views.arena
        self._processes = views.processes
        self._executor = views.executor
        self._listing = listing
        self._history = history

    def fail(self, record: int, payload: bytes) -> None:
        """End a record with a stored error, and remember that."""
        guarded(self._remember, record, payload)
        self._executor.fail(record, payload)

    def _remember(self, record: int, payload: bytes) -> None:
        row = self._listing.row(record)
        if row is not None:
            facts = self._executor.facts(record)
            row["error_message"] = errors.payload_text(payload)
            row["error_type"] = "TASK_CANCELLED" if facts["cancelled"] else None
            self._history.failed(row, facts["seq"], facts["job"], facts["kind"])

    def fail_queue(self, queue: int, make_error: Callable[[int, RecordFacts], bytes]) -> None:
        """Fail all that waits in a queue.

        Args:
            queue: the queue.
            make_error: gives the stored error for a record with its facts.
        """
        self._processes.refill(queue)
        while True:
            record = self._processes.claim_queued(queue)
            if record == 0:
                if not self._processes.refill(queue) and self._processes.queue_length(queue) == 0:
                    return
                continue
            self.fail(record, make_error(record, self._executor.facts(record)))

    def cancelled(self, record: int) -> bytes:
        """The stored error of a cancelled record."""
        return errors.to_payload(errors.TaskCancelledError(TaskID(submission.task_id(self._arena, record))))
