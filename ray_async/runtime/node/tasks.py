"""Tasks as far as the node has to do with them: pending arguments, retries after a death, cancels, overflow."""

from __future__ import annotations

import logging
import os
from itertools import islice
from typing import TYPE_CHECKING, Any

from ray_async import exceptions as errors
from ray_async._core import cancellation, submission
from ray_async._core.constants import RecordKind, RecordState, WorkerFlag
from ray_async.config import TASK_OOM_RETRY_DELAY_BASE_MS, TASK_RETRY_DELAY_MS
from ray_async.runtime.node.death.evidence import DeathCause
from ray_async.runtime.node.guard import guarded
from ray_async.runtime.node.pending_arguments import PendingArguments

if TYPE_CHECKING:
    from ray_async._core.record_facts import RecordFacts
    from ray_async.runtime.node.death.death_explainer import DeathExplainer
    from ray_async.runtime.node.node import Node

__all__ = ("Tasks",)

_logger = logging.getLogger("ray_async.node")

_INTERRUPTS = 5
_LOOKED_AT = 1000  # waiting records at each tick
_MAX_DELAY_DOUBLINGS = 6  # of the wait after kills for memory


class Tasks:
    """Looks after records that need the node.

    Args:
        node: the process's parts.
    """

    def __init__(self, node: Node) -> None:
        self._node = node
        self._view = node.view
        self._records = node.records
        self._executor = node.executor
        self._retry_delay_ms = node.settings.get(TASK_RETRY_DELAY_MS)
        self._oom_delay_ms = node.settings.get(TASK_OOM_RETRY_DELAY_BASE_MS)
        #: Records that wait before they are run again, by offset and number, as all here.
        self._held: set[tuple[int, int]] = set()
        self._overflowing: set[int] = set()
        #: Offset and number of running records that are cancelled, and how often their runners were told.
        self._asked: dict[tuple[int, int], int] = {}
        #: By offset and number: a record that is cancelled may leave its place to another one that waits.
        self._waiting: dict[tuple[int, int], PendingArguments] = {}

    # -- arguments -----------------------------------------------------------------------------------------------------

    def waiting(self, record: int) -> None:
        """A record's arguments are not all there: queue it when they are."""
        if not self._is_waiting(record):
            return
        seq = submission.record_seq(self._node.arena, record)
        if (record, seq) not in self._waiting:
            pending = PendingArguments(record, lambda record: self.arguments_ready(record, seq))
            self._waiting[record, seq] = pending
            pending.start(self._node)

    def arguments_ready(self, record: int, seq: int) -> None:
        """All arguments of a record are complete."""
        self._waiting.pop((record, seq), None)
        if not self._still_waits(record, seq):
            return
        error = self._records.first_error(record)
        if error is None:
            self._records.release(record)
            return
        if self._records.claim(record):
            node_ip = self._node.config["node_ip"]
            self.fail(record, errors.dependency_payload(error, self.function_of(record), os.getpid(), node_ip))

    def _still_waits(self, record: int, seq: int) -> bool:
        return self._is_waiting(record) and submission.record_seq(self._node.arena, record) == seq

    def _drop_cancelled(self) -> None:
        """Stop waiting for the arguments of records that are over; a share at each tick."""
        for key in list(islice(self._waiting, _LOOKED_AT)):
            pending = self._waiting.pop(key)
            if self._still_waits(*key):
                self._waiting[key] = pending  # it comes last now
            else:
                pending.stop(self._node)

    def _is_waiting(self, record: int) -> bool:
        return self._records.is_record(record) and self._records.record_state(record) == RecordState.WAITING

    # -- overflow ------------------------------------------------------------------------------------------------------

    def overflow(self, queue: int) -> None:
        """A queue's ring is full, or has room again."""
        if self._view.refill(queue):
            self._overflowing.add(queue)
        else:
            self._overflowing.discard(queue)

    def forget_queue(self, queue: int) -> None:
        """A queue is about to go."""
        self._overflowing.discard(queue)

    def tick(self) -> None:
        """Look at the queues whose overflow did not fit."""
        for queue in list(self._overflowing):
            self.overflow(queue)
        self._drop_cancelled()
        asked, self._asked = self._asked, {}
        for (record, seq), times in asked.items():
            if times < _INTERRUPTS and self.is_unfinished(record, seq):
                self._interrupt(record, seq, times)

    # -- deaths --------------------------------------------------------------------------------------------------------

    def worker_died(self, slot: int, make_error: DeathExplainer, victims: bool = False, actor: int = 0) -> None:
        """Retry or fail what a dead worker ran.

        Args:
            slot: the worker's.
            make_error: gives the stored error for a record.
            victims: whether it was killed for the sake of one of several tasks: the others then spend no retry.
            actor: the one actor, of several that the process serves, which has died; 0 for all that it ran.
        """
        for record in self._records.find_records(state=RecordState.RUNNING, runner=slot, actor=actor):
            guarded(self._runner_died, record, slot, make_error, victims)

    def _runner_died(self, record: int, slot: int, make_error: DeathExplainer, victims: bool) -> None:
        facts = self._executor.facts(record)
        if facts["kind"] == RecordKind.ACTOR_INIT:
            return  # the actor's matter
        if self._records.outcome(record):
            self._records.finish(record, slot)
            return
        self._node.listing.lost_run(record, facts["seq"], make_error.worker)
        self._records.repair(record, slot)
        if victims and facts["kind"] == RecordKind.TASK and not facts["cancelled"]:
            self._report_retry(record, facts, make_error, facts["retries"])
            self._executor.requeue(record, facts["retries"])
        else:
            self._lost_run(record, facts, make_error)

    def _lost_run(self, record: int, facts: RecordFacts, make_error: DeathExplainer) -> None:
        if facts["cancelled"]:
            self.fail(record, self.cancelled(record))
        elif make_error.cause is DeathCause.GROUP_REMOVED:  # there is no place to run again
            self.fail(record, make_error(record, facts))
        elif (facts["kind"] == RecordKind.TASK and facts["retries"] != 0) or (
            facts["kind"] == RecordKind.ACTOR_CALL
            and facts["retries"] != 0
            and self._node.actors.may_restart(facts["actor"])
        ):
            self._retry(record, facts, make_error)
        else:
            self.fail(record, make_error(record, facts))

    def _report_retry(self, record: int, facts: RecordFacts, death: DeathExplainer, left: int) -> None:
        """Report a task that is run again to its driver; of an actor's calls the report of its restart says enough."""
        if facts["kind"] == RecordKind.TASK:
            name = self.name_of(record)
            self._node.survived.task_retried(facts["job"], name, death.worker.pid, death.summary, left)

    def _retry(self, record: int, facts: RecordFacts, death: DeathExplainer) -> None:
        """Run a record again, a task perhaps after a wait; calls of an actor keep their order."""
        retries = facts["retries"] - 1 if facts["retries"] > 0 else -1
        self._report_retry(record, facts, death, retries)
        delay_ms = self._retry_delay_ms
        if death.out_of_memory:
            delay_ms = max(delay_ms, self._oom_delay_ms << min(facts["attempt"], _MAX_DELAY_DOUBLINGS))
        if delay_ms and facts["kind"] == RecordKind.TASK:
            self._records.hold(record)  # the dead worker's slot is somebody else's soon
            key = record, facts["seq"]
            self._held.add(key)
            self._node.later(delay_ms / 1000, lambda: guarded(self._run_again, key, retries))
        else:
            self._executor.requeue(record, retries)

    def _run_again(self, key: tuple[int, int], retries: int) -> None:
        if self._take_held(key):
            self._executor.requeue(key[0], retries)

    def _take_held(self, key: tuple[int, int]) -> bool:
        """Hold a record no more. Returns whether it was held, and is still to run: another one may have its place."""
        held = key in self._held
        self._held.discard(key)
        return held and self.is_unfinished(*key)

    def fail(self, record: int, payload: bytes) -> None:
        """End a record with an error, and remember that."""
        guarded(self._remember, record, payload)
        self._executor.fail(record, payload)

    def _remember(self, record: int, payload: bytes) -> None:
        row = self._node.task_listing.row(record)
        if row is not None:
            facts = self._executor.facts(record)
            row["error_message"] = errors.payload_text(payload)
            row["error_type"] = "TASK_CANCELLED" if facts["cancelled"] else None
            self._node.history.failed(row, facts["seq"], facts["job"], facts["kind"])

    def name_of(self, record: int) -> str:
        """Name of a task: the one that its caller gave it, or its function's."""
        name = self._records.plain_options(record).get("name")
        return name if isinstance(name, str) else self.function_of(record)

    def function_of(self, record: int) -> str:
        """Name of the function that a record runs."""
        data = self._records.function_of(record)
        # The export is a pickled dict that a process of this session wrote. The node unpickles nothing: it looks for
        # the text.
        return export_name(data) if data else "unknown"

    def cancelled(self, record: int) -> bytes:
        """The stored error of a cancelled record."""
        return errors.to_payload(errors.TaskCancelledError(self._node.task_id(record)))

    def fail_queue(self, queue: int, make_error: Any) -> None:
        """Fail all that waits in a queue."""
        self._view.refill(queue)
        while True:
            record = self._view.claim_queued(queue)
            if record == 0:
                if not self._view.refill(queue) and self._view.queue_length(queue) == 0:
                    return
                continue
            self.fail(record, make_error(record, self._executor.facts(record)))

    def job_ended(self, job: int) -> None:
        """Drop the tasks of a job whose driver is gone."""
        for record in self._records.find_records(job=job):
            guarded(self._end_with_job, record, job)

    def _end_with_job(self, record: int, job: int) -> None:
        # Once more: the record may have ended since it was found, and one of another job have its place.
        if self._records.is_record(record):
            facts = self._executor.facts(record)
            if facts["job"] == job and facts["kind"] == RecordKind.TASK:
                self.cancel(record, facts["seq"], force=True)

    # -- cancels -------------------------------------------------------------------------------------------------------

    def cancel_requested(self, record: int) -> None:
        """Someone flagged a record: end it, or interrupt its runner."""
        if not self._records.is_record(record):
            return
        facts = self._executor.facts(record)
        # Not cancelled: the one that was has ended, and another one has its place.
        if not facts["cancelled"] or not self.is_unfinished(record, facts["seq"]):
            return
        state = self._records.record_state(record)
        if state in (RecordState.WAITING, RecordState.QUEUED):
            self.cancel(record, facts["seq"], facts["forced"])
        if state != RecordState.RUNNING:
            return
        if facts["left"]:
            cancellation.carry_on(self._view.arena, record, facts["seq"], False, self.cancelled)
        if self._take_held((record, facts["seq"])):
            self.fail(record, self.cancelled(record))
            return
        if self._node.cluster is not None and self._node.cluster.cancel(record, facts["forced"]):
            return
        worker = self._node.workers.by_slot.get(self._records.runner(record))
        if worker is None:
            return
        if not self.is_unfinished(record, facts["seq"]):
            return  # the worker is another record's
        if facts["forced"] and facts["kind"] == RecordKind.TASK:
            self._node.workers.kill(worker, DeathCause.CANCELLED)
            return
        self._interrupt(record, facts["seq"], 0)

    def _interrupt(self, record: int, seq: int, times: int) -> None:
        """Have the runner look at its cancel flag, and again at the next ticks while the record runs.

        One signal can be lost: it may come between the interpreter's look for signals and the system call that waits.
        """
        worker = self._node.workers.by_slot.get(self._records.runner(record))
        if worker is not None:
            self._view.flag(worker.slot, WorkerFlag.CANCEL)
            self._node.workers.interrupt(worker)
            self._asked[record, seq] = times + 1

    def is_unfinished(self, record: int, seq: int) -> bool:
        """Whether this very record is still to run, or runs."""
        if not self._records.is_record(record) or self._executor.facts(record)["seq"] != seq:
            return False
        return bool(RecordState.WAITING <= self._records.record_state(record) <= RecordState.RUNNING)

    def cancel(self, record: int, seq: int, force: bool) -> None:
        """Cancel a task or an actor's call, if it is still the one with this number."""
        cancellation.cancel(self._view.arena, record, force, self.cancelled, False, seq)


def export_name(data: bytes) -> str:
    """The name in an export, which begins with its length and its text."""
    head, _, _ = data.partition(b"\n")
    return head.decode("utf-8", "replace")
