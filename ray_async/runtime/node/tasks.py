"""Tasks as far as the node has to do with them: pending arguments, retries after a death, cancels."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable
from itertools import islice
from typing import TYPE_CHECKING

from ray_async import exceptions as errors
from ray_async._core import cancellation, submission
from ray_async._core.constants import RecordKind, RecordState, WorkerFlag
from ray_async.config import TASK_OOM_RETRY_DELAY_BASE_MS, TASK_RETRY_DELAY_MS, Settings
from ray_async.runtime.node.arena_views import ArenaViews
from ray_async.runtime.node.death.evidence import DeathCause
from ray_async.runtime.node.death.survived_deaths import SurvivedDeaths
from ray_async.runtime.node.dispatch import Dispatch
from ray_async.runtime.node.guard import guarded
from ray_async.runtime.node.other_nodes import NodeMembership
from ray_async.runtime.node.pending_arguments import ArgumentWatch, PendingArguments
from ray_async.runtime.node.record_failures import RecordFailures
from ray_async.runtime.node.state_rows import StateRows
from ray_async.runtime.node.task_names import TaskNames
from ray_async.runtime.node.workers import Workers

if TYPE_CHECKING:
    from ray_async._core.record_facts import RecordFacts
    from ray_async.runtime.node.death.death_explainer import DeathExplainer

__all__ = ("Tasks",)

_logger = logging.getLogger("ray_async.node")

_INTERRUPTS = 5
_LOOKED_AT = 1000  # waiting records at each tick
_MAX_DELAY_DOUBLINGS = 6  # of the wait after kills for memory


class Tasks:
    """Looks after records that need the node.

    Args:
        views: of the arena.
        settings: the node's.
        dispatch: calls what is to be done later.
        workers: run the records.
        names: of the functions and tasks.
        failures: ends records with errors.
        arguments: watches those of records.
        rows: remember the runs that deaths ended.
        survived: reports retries to drivers.
        cluster: whose other nodes may run the records.
        may_restart: whether calls of a dying actor, given by its offset, may be kept for its next life.
        node_ip: address of the node, for errors.
    """

    def __init__(
        self,
        views: ArenaViews,
        settings: Settings,
        dispatch: Dispatch,
        workers: Workers,
        *,
        names: TaskNames,
        failures: RecordFailures,
        arguments: ArgumentWatch,
        rows: StateRows,
        survived: SurvivedDeaths,
        cluster: NodeMembership,
        may_restart: Callable[[int], bool],
        node_ip: str,
    ) -> None:
        self._arena = views.arena
        self._processes = views.processes
        self._records = views.records
        self._executor = views.executor
        self._dispatch = dispatch
        self._workers = workers
        self._names = names
        self._failures = failures
        self._arguments = arguments
        self._rows = rows
        self._survived = survived
        self._cluster = cluster
        self._may_restart = may_restart
        self._node_ip = node_ip
        self._retry_delay_ms = settings.get(TASK_RETRY_DELAY_MS)
        self._oom_delay_ms = settings.get(TASK_OOM_RETRY_DELAY_BASE_MS)
        #: Records that wait before they are run again, by offset and number, as all here.
        self._held: set[tuple[int, int]] = set()
        #: Offset and number of running records that are cancelled, and how often their runners were interrupted.
        self._interrupted: dict[tuple[int, int], int] = {}
        #: By offset and number: a record that is cancelled may leave its place to another one that waits.
        self._waiting: dict[tuple[int, int], PendingArguments] = {}

    # -- arguments -----------------------------------------------------------------------------------------------------

    def waiting(self, record: int) -> None:
        """A record's arguments are not all there: queue it when they are."""
        if not self._is_waiting(record):
            return
        seq = submission.record_seq(self._arena, record)
        if (record, seq) not in self._waiting:
            pending = PendingArguments(record, lambda record: self.arguments_ready(record, seq))
            self._waiting[record, seq] = pending
            self._arguments.start(pending)

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
            function = self._names.function_of(record)
            self._failures.fail(record, errors.dependency_payload(error, function, os.getpid(), self._node_ip))

    def _still_waits(self, record: int, seq: int) -> bool:
        return self._is_waiting(record) and submission.record_seq(self._arena, record) == seq

    def _drop_cancelled(self) -> None:
        """Stop waiting for the arguments of records that are over; a share at each tick."""
        for key in list(islice(self._waiting, _LOOKED_AT)):
            pending = self._waiting.pop(key)
            if self._still_waits(*key):
                self._waiting[key] = pending  # it comes last now
            else:
                self._arguments.stop(pending)

    def _is_waiting(self, record: int) -> bool:
        return self._records.is_record(record) and self._records.record_state(record) == RecordState.WAITING

    def tick(self) -> None:
        """Drop waits of records that are over, and interrupt again the runners of cancelled ones."""
        self._drop_cancelled()
        interrupted, self._interrupted = self._interrupted, {}
        for (record, seq), times in interrupted.items():
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
        self._rows.lost_run(record, facts["seq"], make_error.worker)
        self._records.repair(record, slot)
        if victims and facts["kind"] == RecordKind.TASK and not facts["cancelled"]:
            self._report_retry(record, facts, make_error, facts["retries"])
            self._executor.requeue(record, facts["retries"])
        else:
            self._lost_run(record, facts, make_error)

    def _lost_run(self, record: int, facts: RecordFacts, make_error: DeathExplainer) -> None:
        if facts["cancelled"]:
            self._failures.fail(record, self._failures.cancelled(record))
        elif make_error.cause is DeathCause.GROUP_REMOVED:  # there is no place to run again
            self._failures.fail(record, make_error(record, facts))
        elif (facts["kind"] == RecordKind.TASK and facts["retries"] != 0) or (
            facts["kind"] == RecordKind.ACTOR_CALL and facts["retries"] != 0 and self._may_restart(facts["actor"])
        ):
            self._retry(record, facts, make_error)
        else:
            self._failures.fail(record, make_error(record, facts))

    def _report_retry(self, record: int, facts: RecordFacts, death: DeathExplainer, left: int) -> None:
        """Report a task that is run again to its driver; of an actor's calls the report of its restart says enough."""
        if facts["kind"] == RecordKind.TASK:
            name = self._names.name_of(record)
            self._survived.task_retried(facts["job"], name, death.worker.pid, death.summary, left)

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
            self._dispatch.later(delay_ms / 1000, lambda: guarded(self._run_again, key, retries))
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
            cancellation.carry_on(self._arena, record, facts["seq"], False, self._failures.cancelled)
        if self._take_held((record, facts["seq"])):
            self._failures.fail(record, self._failures.cancelled(record))
            return
        if self._cluster.others.cancel(record, facts["forced"]):
            return
        worker = self._workers.by_slot.get(self._records.runner(record))
        if worker is None:
            return
        if not self.is_unfinished(record, facts["seq"]):
            return  # the worker is another record's
        if facts["forced"] and facts["kind"] == RecordKind.TASK:
            self._workers.kill(worker, DeathCause.CANCELLED)
            return
        self._interrupt(record, facts["seq"], 0)

    def _interrupt(self, record: int, seq: int, times: int) -> None:
        """Have the runner look at its cancel flag, and again at the next ticks while the record runs.

        One signal can be lost: it may come between the interpreter's look for signals and the system call that waits.
        """
        worker = self._workers.by_slot.get(self._records.runner(record))
        if worker is not None:
            self._processes.flag(worker.slot, WorkerFlag.CANCEL)
            self._workers.interrupt(worker)
            self._interrupted[record, seq] = times + 1

    def is_unfinished(self, record: int, seq: int) -> bool:
        """Whether this very record is still to run, or runs."""
        if not self._records.is_record(record) or self._executor.facts(record)["seq"] != seq:
            return False
        return bool(RecordState.WAITING <= self._records.record_state(record) <= RecordState.RUNNING)

    def cancel(self, record: int, seq: int, force: bool) -> None:
        """Cancel a task or an actor's call, if it is still the one with this number."""
        cancellation.cancel(self._arena, record, force, self._failures.cancelled, False, seq)
