"""Rows of tasks: those that have records, and those of the history, filtered and counted before any row is made."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

from ray_async import exceptions as errors
from ray_async._core.constants import RecordKind, RecordState
from ray_async.engine.state import FieldFilter, Rows
from ray_async.ids import JobID
from ray_async.runtime.node.actor_table import ActorTable
from ray_async.runtime.node.arena_views import ArenaViews
from ray_async.runtime.node.state_rows import StateRows
from ray_async.runtime.node.task_history import EndedTask, TaskHistory
from ray_async.runtime.node.task_names import TaskNames
from ray_async.runtime.node.workers import Workers

__all__ = ("TaskListing",)

# A new record is not yet submitted, so it has no name here.
_STATES: dict[int, str] = {
    RecordState.WAITING: "PENDING_ARGS_AVAIL",
    RecordState.QUEUED: "PENDING_NODE_ASSIGNMENT",
    RecordState.RUNNING: "RUNNING",
    RecordState.DONE: "FINISHED",
    RecordState.CANCELLED: "FAILED",
}
_TYPES: dict[int, str] = {
    RecordKind.TASK: "NORMAL_TASK",
    RecordKind.ACTOR_INIT: "ACTOR_CREATION_TASK",
    RecordKind.ACTOR_CALL: "ACTOR_TASK",
}
_WITHOUT_ROOM = "its error is not known: there was no room for it"
_ENDED = ("FINISHED", "FAILED")
_NOTHING: dict[str, Any] = {}


class _Sketch(NamedTuple):
    """What filters mostly ask of a task; the rest of its row takes more time.

    Attributes:
        seq, job, kind, attempt, actor: of its record; the actor as an offset, 0 for none or where it is not known.
        state, function, name: as in its row.
        record: its offset; 0 of one that is in the history only.
        cancelled: whether somebody asked for that.
        parent: number of the task that has called it, 0 for none.
        labels: of the call.
        ended: what the history knows of it.
    """

    seq: int
    job: int
    kind: int
    attempt: int
    actor: int
    state: str
    function: str
    name: str
    record: int
    cancelled: bool
    parent: int
    labels: dict[str, str]
    ended: EndedTask | None


class TaskListing:
    """Answers questions about tasks, without those that were called with ``enable_task_events=False``.

    Args:
        views: of the arena.
        names: of tasks.
        workers, actors: those that there are.
        rows: of workers, and of the runs that ended with them.
        history: of what has ended.
    """

    def __init__(
        self,
        views: ArenaViews,
        names: TaskNames,
        workers: Workers,
        actors: ActorTable,
        rows: StateRows,
        history: TaskHistory,
    ) -> None:
        self._arena = views.arena
        self._records = views.records
        self._executor = views.executor
        self._names = names
        self._by_slot = workers.by_slot
        self._actors = actors
        self._rows = rows
        self._history = history
        self._cheap: dict[str, Callable[[_Sketch], Any]] = {
            "task_id": lambda task: self._task_id(task.seq, task.job),
            "attempt_number": lambda task: task.attempt,
            "name": lambda task: task.name,
            "func_or_class_name": lambda task: task.function,
            "state": lambda task: task.state,
            "type": lambda task: _TYPES[task.kind],
            "job_id": lambda task: JobID.from_int(task.job).hex(),
        }

    def page(self, filters: Sequence[FieldFilter], limit: int, offset: int = 0) -> Rows:
        """Some rows of the tasks that all filters accept.

        Raises:
            ValueError: a negative limit or offset.
        """
        if limit < 0 or offset < 0:
            raise ValueError("limit and offset must not be negative")
        found = list(self._sketches())
        for wanted in sorted(filters, key=lambda wanted: wanted.field.lower() not in self._cheap):
            field = wanted.field.lower()
            get = self._cheap.get(field, lambda task, field=field: self._row(task).get(field))
            found = [task for task in found if wanted.accepts(get(task))]
        return Rows([self._row(task) for task in found[offset : offset + limit]], len(found))

    def counts(self) -> dict[str, dict[str, int]]:
        """How many tasks there are, by function and state."""
        counted = Counter((task.function, task.state) for task in self._sketches())
        found: dict[str, dict[str, int]] = {}
        for (function, state), count in counted.items():
            found.setdefault(function, {})[state] = count
        return found

    def row(self, record: int) -> dict[str, Any] | None:
        """The row of one record; None if it is to have none."""
        facts = self._executor.facts(record)
        options = self._records.plain_options(record)
        if not options.get("enable_task_events", True):
            return None
        function = self._names.function_of(record)
        name = options.get("name")
        return self._row(
            _Sketch(
                facts["seq"], facts["job"], facts["kind"], facts["attempt"], facts["actor"],
                _STATES.get(self._records.record_state(record), "NIL"), function,
                name if isinstance(name, str) else function, record, facts["cancelled"], facts["parent_seq"],
                _labels(options), None,
            )
        )  # fmt: skip

    def _sketches(self) -> Iterator[_Sketch]:
        history = self._history.ended()
        functions: dict[int, str] = {}
        options_at: dict[int, dict[str, Any]] = {}
        for (
            record,
            seq,
            kind,
            step,
            attempt,
            cancelled,
            _,
            job,
            actor,
            fn,
            opts,
            failed,
            parent,
        ) in self._records.outlines():
            state = _STATES.get(step)
            if state is None:
                continue
            ended = history.pop((seq, job), None) if history else None
            function = functions.get(fn)
            if function is None:
                function = functions[fn] = self._names.function_of(record)
            options = _NOTHING
            if opts:
                if opts not in options_at:
                    options_at[opts] = self._records.plain_options(record)
                options = options_at[opts]
                if not options.get("enable_task_events", True):
                    continue
            name = options.get("name")
            shown = self._state(state, step, kind, actor, cancelled, failed)
            if shown not in _ENDED:  # its worker has said how it ends, and is about to end it
                ended = None
            yield _Sketch(
                seq, job, kind, attempt, actor, shown, function,
                name if isinstance(name, str) else function, record, cancelled, parent, _labels(options), ended,
            )  # fmt: skip
        for task in history.values():
            yield _Sketch(
                task.seq, task.job, task.kind, task.attempt, 0, str(task.fields["state"]), task.name,
                task.given or task.name, 0, False, 0, task.fields.get("labels") or {}, task,
            )  # fmt: skip

    def _state(self, state: str, step: int, kind: int, actor: int, cancelled: bool, failed: bool) -> str:
        if failed and not cancelled and state in _ENDED:  # a cancel while it ran is no failure, as in Ray
            return "FAILED"
        if kind == RecordKind.ACTOR_INIT and state == "RUNNING":
            known = self._actors.by_offset.get(actor)
            if known is not None and known.is_alive:
                return "FINISHED"  # its record is kept, as if it ran, for a restart
        if kind == RecordKind.ACTOR_CALL and step == RecordState.QUEUED:  # the node may not know its actor yet
            return "PENDING_ACTOR_TASK_ORDERING_OR_CONCURRENCY"
        return state

    def _row(self, task: _Sketch) -> dict[str, Any]:
        known = task.ended.fields if task.ended is not None else _NOTHING
        actor = self._actors.by_offset.get(task.actor) if task.actor else None
        return {
            "task_id": self._task_id(task.seq, task.job),
            "attempt_number": task.attempt,
            "name": task.name,
            "func_or_class_name": task.function,
            "state": task.state,
            "type": _TYPES[task.kind],
            "job_id": JobID.from_int(task.job).hex(),
            "actor_id": actor.id.hex() if actor is not None else known.get("actor_id"),
            "parent_task_id": self._task_id(task.parent, task.job) if task.parent else None,
            "node_id": known.get("node_id"),
            "worker_id": known.get("worker_id"),
            "worker_pid": known.get("worker_pid"),
            **self._place(task),
            "error_type": "TASK_CANCELLED" if task.state == "FAILED" and task.cancelled else known.get("error_type"),
            "labels": task.labels,
            "error_message": self._error(task) or known.get("error_message"),
            "start_time_ms": known.get("start_time_ms"),
            "end_time_ms": known.get("end_time_ms"),
        }

    def _place(self, task: _Sketch) -> dict[str, Any]:
        """Where a task with a record runs, or a worker has died with it."""
        if not task.record or not self._is_there(task):
            return _NOTHING
        lost = self._rows.run_of(task.record, task.seq)
        if task.state == "RUNNING":
            runner = self._by_slot.get(self._records.runner(task.record))
            return self._rows.place_of(runner) if runner is not None else lost
        return lost

    def _error(self, task: _Sketch) -> str | None:
        if not task.record or task.state not in _ENDED or not self._is_there(task):
            return None
        failure = self._records.failure(task.record)
        if failure is None:
            return None
        return _WITHOUT_ROOM if isinstance(failure, int) else errors.payload_text(failure)

    def _is_there(self, task: _Sketch) -> bool:
        """Whether its record is still its own: another process may have dropped its results since it was looked at."""
        return self._records.is_record(task.record) and self._executor.facts(task.record)["seq"] == task.seq

    def _task_id(self, seq: int, job: int) -> str:
        session: bytes = self._arena.session
        return (seq.to_bytes(8, "little") + session[:12] + job.to_bytes(4, "little")).hex()


def _labels(options: dict[str, Any]) -> dict[str, str]:
    return {str(key): str(value) for key, value in options.get("labels", ())} if options else {}
