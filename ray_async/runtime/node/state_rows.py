"""Descriptions of what there is now, for the state API."""

from __future__ import annotations

import time
from collections import deque
from typing import Any

from ray_async._core.node_view import NodeView
from ray_async._core.object_view import ObjectView
from ray_async.ids import JobID
from ray_async.machine.exit_status import ExitStatus
from ray_async.runtime.node.workers import WorkerProcess, Workers

__all__ = ("StateRows",)

_MAX_PAST_ROWS = 1000  # dead workers, and tasks that ran in them
_NOWHERE: dict[str, Any] = {"node_id": None, "worker_id": None, "worker_pid": None}


class StateRows:
    """Rows of objects and workers.

    Args:
        processes, objects: views of the arena.
        workers: the living ones.
        node_ip: address of the node.
    """

    def __init__(self, processes: NodeView, objects: ObjectView, workers: Workers, node_ip: str) -> None:
        self._processes = processes
        self._objects = objects
        self._by_slot = workers.by_slot
        self._node_ip = node_ip
        self._past_workers: deque[dict[str, Any]] = deque(maxlen=_MAX_PAST_ROWS)
        self._lost_runs: dict[tuple[int, int], dict[str, Any]] = {}

    def lost_run(self, record: int, seq: int, worker: WorkerProcess | None) -> None:
        """Remember in which worker a task was when that died."""
        if worker is not None:
            self._lost_runs[record, seq] = self.place_of(worker)
            if len(self._lost_runs) > _MAX_PAST_ROWS:
                del self._lost_runs[next(iter(self._lost_runs))]

    def run_of(self, record: int, seq: int) -> dict[str, Any]:
        """In which worker a task was that died with it; empty if none did."""
        return self._lost_runs.get((record, seq), {})

    def place_of(self, worker: WorkerProcess) -> dict[str, Any]:
        """The fields of a task's row that say where it is."""
        worker_id = self._processes.worker_id(worker.slot).hex()
        return {"node_id": worker.node_id, "worker_id": worker_id, "worker_pid": worker.pid}

    def place_of_pid(self, slot: int, pid: int) -> dict[str, Any]:
        """The same of a process that may be gone."""
        worker = self._by_slot.get(slot)
        if worker is not None and worker.pid == pid:
            return self.place_of(worker)
        row = next((row for row in reversed(self._past_workers) if row["pid"] == pid), None)
        return (
            {**_NOWHERE, "worker_pid": pid}
            if row is None
            else {"node_id": row["node_id"], "worker_id": row["worker_id"], "worker_pid": pid}
        )

    def objects(self) -> list[dict[str, Any]]:
        """The objects that the store holds and something refers to."""
        return [
            {"object_id": identity.hex(), "object_size": size, "reference_count": count, "task_status": "FINISHED"}
            for identity, size, count in self._objects.objects()
        ]

    def workers(self) -> list[dict[str, Any]]:
        """The living workers, and as many of the dead ones as are remembered."""
        living = (self._worker(worker) for worker in self._by_slot.values() if worker.up)
        return [*living, *self._past_workers]

    def _worker(self, worker: WorkerProcess) -> dict[str, Any]:
        started = time.time() - (time.monotonic() - worker.started)
        return {
            "worker_id": self._processes.worker_id(worker.slot).hex(),
            "is_alive": True,
            "worker_type": "WORKER",
            "exit_type": None,
            "exit_detail": None,
            "node_id": worker.node_id,
            "ip": self._node_ip,
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
