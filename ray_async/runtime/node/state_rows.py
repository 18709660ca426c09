"""Descriptions of what there is now, for the state API."""

from __future__ import annotations

import time
from collections import deque
from typing import TYPE_CHECKING, Any

from ray_async import exceptions as errors
from ray_async._core.constants import RecordKind, RecordState
from ray_async.ids import JobID
from ray_async.machine.exit_status import ExitStatus

if TYPE_CHECKING:
    from ray_async.runtime.node.node import Node
    from ray_async.runtime.node.workers import WorkerProcess

__all__ = ("StateRows",)

# A new record is not yet submitted, so it has no name here.
_STATES: dict[int, str] = {
    RecordState.WAITING: "PENDING_ARGS_AVAIL",
    RecordState.QUEUED: "PENDING_NODE_ASSIGNMENT",
    RecordState.RUNNING: "RUNNING",
    RecordState.DONE: "FINISHED",
    RecordState.CANCELLED: "FAILED",
}
_WITHOUT_ROOM = "its error is not known: there was no room for it"
_MAX_PAST_ROWS = 1000  # dead workers, and tasks that ran in them
_TYPES: dict[int, str] = {
    RecordKind.TASK: "NORMAL_TASK",
    RecordKind.ACTOR_INIT: "ACTOR_CREATION_TASK",
    RecordKind.ACTOR_CALL: "ACTOR_TASK",
}


class StateRows:
    """Rows of tasks, objects and workers.

    Args:
        node: the process's parts.
    """

    def __init__(self, node: Node) -> None:
        self._node = node
        self._past_workers: deque[dict[str, Any]] = deque(maxlen=_MAX_PAST_ROWS)
        self._lost_runs: dict[tuple[int, int], dict[str, Any]] = {}

    def tasks(self) -> list[dict[str, Any]]:
        """The tasks and calls whose records exist, without those that were called with ``enable_task_events=False``."""
        rows = []
        for record in self._node.records.find_records():
            state = _STATES.get(self._node.records.record_state(record))
            options = self._node.records.plain_options(record)
            if state is not None and options.get("enable_task_events", True):
                rows.append(self._task(record, state, options))
        return rows

    def _task(self, record: int, state: str, options: dict[str, Any]) -> dict[str, Any]:
        node = self._node
        facts = node.executor.facts(record)
        actor = node.actors.by_offset.get(facts["actor"])
        runner = node.workers.by_slot.get(node.records.runner(record)) if state == "RUNNING" else None
        ran_in = self._worker(runner) if runner is not None else self._lost_runs.get((record, facts["seq"]), {})
        failure = node.records.failure(record) if state in ("FINISHED", "FAILED") else None
        if failure is not None and not facts["cancelled"]:  # a cancel while it ran is no failure, as in Ray
            state = "FAILED"
        if facts["kind"] == RecordKind.ACTOR_INIT and state == "RUNNING" and actor is not None and actor.is_alive:
            state = "FINISHED"  # its record is kept, as if it ran, for a restart
        function = node.tasks.function_of(record)
        if (
            facts["kind"] == RecordKind.ACTOR_CALL and node.records.record_state(record) == RecordState.QUEUED
        ):  # the node may not know its actor yet
            state = "PENDING_ACTOR_TASK_ORDERING_OR_CONCURRENCY"
        return {
            "task_id": node.task_id(record).hex(),
            "attempt_number": facts["attempt"],
            "name": str(options.get("name", function)),
            "func_or_class_name": function,
            "state": state,
            "type": _TYPES[facts["kind"]],
            "job_id": JobID.from_int(facts["job"]).hex(),
            "actor_id": actor.id.hex() if actor is not None else None,
            "node_id": ran_in.get("node_id"),
            "worker_id": ran_in.get("worker_id"),
            "worker_pid": ran_in.get("pid"),
            "error_type": "TASK_CANCELLED" if state == "FAILED" and facts["cancelled"] else None,
            "labels": {str(key): str(value) for key, value in options.get("labels", ())},
            "error_message": _words_of(failure),
        }

    def lost_run(self, record: int, seq: int, worker: WorkerProcess | None) -> None:
        """Remember in which worker a task was when that died."""
        if worker is not None:
            self._lost_runs[record, seq] = self._worker(worker)
            if len(self._lost_runs) > _MAX_PAST_ROWS:
                del self._lost_runs[next(iter(self._lost_runs))]

    def objects(self) -> list[dict[str, Any]]:
        """The objects that the store holds and something refers to."""
        return [
            {"object_id": identity.hex(), "object_size": size, "reference_count": count, "task_status": "FINISHED"}
            for identity, size, count in self._node.objects.objects()
        ]

    def workers(self) -> list[dict[str, Any]]:
        """The living workers, and as many of the dead ones as are remembered."""
        living = (self._worker(worker) for worker in self._node.workers.by_slot.values() if worker.up)
        return [*living, *self._past_workers]

    def _worker(self, worker: WorkerProcess) -> dict[str, Any]:
        started = time.time() - (time.monotonic() - worker.started)
        return {
            "worker_id": self._node.view.worker_id(worker.slot).hex(),
            "is_alive": True,
            "worker_type": "WORKER",
            "exit_type": None,
            "exit_detail": None,
            "node_id": worker.node_id,
            "ip": self._node.config["node_ip"],
            "pid": worker.pid,
            "job_id": JobID.from_int(worker.job).hex(),
            "start_time_ms": int(started * 1000),
            "end_time_ms": 0,
        }

    def worker_ended(self, worker: WorkerProcess, status: int) -> None:
        """Remember how a worker ended."""
        if not worker.up:
            return
        end = ExitStatus.from_wait_status(status)
        cause = worker.kill_cause
        kind = "INTENDED_USER_EXIT" if end.code == 0 else "SYSTEM_ERROR"
        row = self._worker(worker) | {
            "is_alive": False,
            "exit_type": kind if cause is None else "INTENDED_SYSTEM_EXIT",
            "exit_detail": end.describe() if cause is None else worker.kill_detail or cause.value,
            "end_time_ms": int(time.time() * 1000),
        }
        self._past_workers.append(row)


def _words_of(failure: bytes | int | None) -> str | None:
    if failure is None:
        return None
    return _WITHOUT_ROOM if isinstance(failure, int) else errors.payload_text(failure)
