"""The history of tasks: what has ended, beyond the time for which its record and its results are there.

Failures are reported by those who meet them, whatever the settings. Successes are in a ring that workers write without
the node, where that is wanted (the setting ``task_history``).
"""

from __future__ import annotations

import logging
import time
from collections import OrderedDict
from typing import TYPE_CHECKING, Any

from ray_async._core.constants import RecordKind
from ray_async._core.task_ring import TaskRing
from ray_async.exceptions.remote_traceback import clip
from ray_async.runtime.node.actor_table import ActorTable
from ray_async.runtime.node.requests.messages import Message
from ray_async.runtime.node.state_rows import StateRows
from ray_async.runtime.node.workers import Workers

if TYPE_CHECKING:
    from ray_async.transport.server import Peer

__all__ = ("EndedTask", "TaskHistory")

_MOST_FAILURES = 10_000
_MOST_TEXT = 16 << 20  # bytes of all failures' errors
_ERROR_BYTES = 4_000
_KINDS = frozenset(RecordKind)

_logger = logging.getLogger("ray_async.node")


class EndedTask:
    """A task that has ended.

    Attributes:
        seq, job: number of the task, and of the job that it belongs to.
        kind, attempt: of its record.
        name, given: of its function, and of the call; the latter "" where the caller gave none.
        fields: of its row: what the kind of the end and its process add.
        size: bytes that it counts.
    """

    __slots__ = ("attempt", "fields", "given", "job", "kind", "name", "seq", "size")

    def __init__(
        self, seq: int, job: int, kind: int, attempt: int, name: str, given: str, fields: dict[str, Any]
    ) -> None:
        self.seq, self.job, self.kind, self.attempt = seq, job, kind, attempt
        self.name, self.given = name, given
        self.fields = fields
        self.size = len(name) + len(given) + len(fields.get("error_message") or "")


class TaskHistory:
    """The latest tasks that have ended.

    Args:
        workers, actors: those that there are.
        rows: of workers.
        directory: the session's, where the ring of successes is; None: successes are not noted.
    """

    def __init__(self, workers: Workers, actors: ActorTable, rows: StateRows, directory: str | None) -> None:
        self._workers = workers
        self._actors = actors
        self._rows = rows
        self._directory = directory
        self._failures: OrderedDict[tuple[int, int], EndedTask] = OrderedDict()
        self._size = 0
        self.dropped = 0  # failures that workers could not report
        self._ring: TaskRing | None = None

    def failed(self, row: dict[str, Any], seq: int, job: int, kind: int) -> None:
        """Remember a task that the node is about to fail, by its row."""
        given = row["name"] if row["name"] != row["func_or_class_name"] else ""
        fields = {
            "state": "FAILED",
            **{key: row[key] for key in ("actor_id", "node_id", "worker_id", "worker_pid", "error_type", "labels")},
            "error_message": clip(row["error_message"] or "", _ERROR_BYTES),
            "end_time_ms": time.time_ns() // 1_000_000,
        }
        self._add(EndedTask(seq, job, kind, row["attempt_number"], row["func_or_class_name"], given, fields))

    def reported(self, peer: Peer, message: Message) -> None:
        """Remember a task that a worker fails.

        Raises:
            KeyError, TypeError, ValueError: the message is none of such a task.
        """
        kind = int(message["kind"])
        if kind not in _KINDS:
            raise ValueError(f"there is no kind {kind} of tasks")
        worker = self._workers.by_slot.get(int(peer.notes.get("slot", -1)))
        fields: dict[str, Any] = {
            "state": "FAILED",
            "error_type": str(message["error_type"]),
            "error_message": clip(str(message["text"]), _ERROR_BYTES),
            "end_time_ms": time.time_ns() // 1_000_000,
            **(self._rows.place_of(worker) if worker is not None else {}),
        }
        name, given = str(message["name"])[:200], str(message["given"])[:200]
        attempt = int(message["attempt"])
        dropped = int(message.get("dropped", 0))
        if dropped > 0:
            self.dropped += dropped
            _logger.warning(
                "%d failed tasks are missing in the history: the node had not read the reports of them", dropped
            )
        self._add(EndedTask(int(message["seq"]), int(message["job"]), kind, attempt, name, given, fields))

    def _add(self, task: EndedTask) -> None:
        key = task.seq, task.job
        before = self._failures.pop(key, None)
        self._size += task.size - (before.size if before is not None else 0)
        self._failures[key] = task
        while len(self._failures) > _MOST_FAILURES or self._size > _MOST_TEXT:
            _, oldest = self._failures.popitem(last=False)
            self._size -= oldest.size

    def ended(self) -> dict[tuple[int, int], EndedTask]:
        """All that is known of, by number and job: failures, then successes, the latest first."""
        found = dict(reversed(self._failures.items()))
        for task in self._succeeded():
            found.setdefault((task.seq, task.job), task)
        return found

    def _succeeded(self) -> list[EndedTask]:
        if self._ring is None:
            if self._directory is None:
                return []
            self._ring = TaskRing(self._directory)
        since = time.time_ns() - time.monotonic_ns()
        tasks = []
        for seq, actor, started, ended, job, kind, attempt, slot, pid, name, given in self._ring.rows():
            if kind not in _KINDS:  # a process has damaged it
                continue
            fields = {
                "state": "FINISHED",
                "start_time_ms": (since + started) // 1_000_000 if started else None,
                "end_time_ms": (since + ended) // 1_000_000,
                **self._rows.place_of_pid(slot, pid),
            }
            if actor:
                fields["actor_id"] = self._actor_in(actor, pid)
            tasks.append(EndedTask(seq, job, kind, attempt, name, given, fields))
        return tasks

    def _actor_in(self, offset: int, pid: int) -> str | None:
        """Id of the actor at an offset, if it is the one that a process hosts: another one may be there by now."""
        actor = self._actors.by_offset.get(offset)
        return actor.id.hex() if actor is not None and actor.worker is not None and actor.worker.pid == pid else None
