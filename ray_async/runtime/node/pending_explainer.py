"""Explanations of a task that has no result yet, in words for whoever waits for the result."""

from __future__ import annotations

from ray_async._core import store, submission
from ray_async._core.constants import ActorState, RecordKind, RecordState
from ray_async.runtime.node.actor_table import Actor, ActorTable
from ray_async.runtime.node.arena_views import ArenaViews
from ray_async.runtime.node.classes import Classes
from ray_async.runtime.node.task_names import TaskNames
from ray_async.runtime.node.workers import Workers
from ray_async.runtime.scheduler.report import Report

__all__ = ("PendingExplainer",)

_MAX_ARGUMENT_LEVELS = 4  # arguments of arguments


class PendingExplainer:
    """Follows a task to what it waits for.

    Args:
        views: of the arena.
        report: the scheduler's answers.
        names: of tasks.
        workers, classes, actors: that run tasks, or will.
    """

    def __init__(
        self,
        views: ArenaViews,
        report: Report,
        names: TaskNames,
        workers: Workers,
        classes: Classes,
        actors: ActorTable,
    ) -> None:
        self._arena = views.arena
        self._processes = views.processes
        self._records = views.records
        self._executor = views.executor
        self._report = report
        self._names = names
        self._by_slot = workers.by_slot
        self._classes = classes
        self._actors = actors

    def explain(self, record: int, depth: int = _MAX_ARGUMENT_LEVELS) -> str:
        """Say what a task or call waits for; empty where nothing is known of it, or it has ended."""
        records = self._records
        if not records.is_record(record):
            return ""
        state, name = records.record_state(record), self._names.name_of(record)
        if state == RecordState.WAITING:
            return f"{name} waits for an argument{self._argument(record, depth)}"
        if state == RecordState.QUEUED:
            return self._queued(record, name)
        if state == RecordState.RUNNING:
            worker = self._by_slot.get(records.runner(record))
            return f"{name} is running{f' in process {worker.pid}' if worker is not None else ''}."
        return ""

    def _argument(self, record: int, depth: int) -> str:
        """The first argument that is not there yet."""
        for ref in self._executor.direct_refs(record):
            if not store.is_ready(self._arena, ref):
                maker = submission.record_of(ref)
                reason = self.explain(maker, depth - 1) if maker and depth else ""
                return f" that is not there: {reason}" if reason else " that is not there."
        return "."

    def _queued(self, record: int, name: str) -> str:
        facts = self._executor.facts(record)
        if facts["kind"] == RecordKind.TASK:
            reason = self._classes.explain(self._records.queue_of(record))
            return f"{name} is queued{f'; {reason}' if reason else ''}."
        actor = self._actors.by_offset.get(facts["actor"])
        if actor is None:
            return f"{name} is queued for an actor that the node does not know yet."
        if facts["kind"] == RecordKind.ACTOR_INIT or actor.state in (ActorState.PENDING, ActorState.RESTARTING):
            return f"{name} is queued; {self._creation(actor)}."
        ahead = self._processes.queue_length(actor.queue)
        return f"{name} is queued for its actor, which runs other calls; {ahead} wait in its queue."

    def _creation(self, actor: Actor) -> str:
        """What an actor that does not live yet waits for."""
        again = "is to be restarted" if actor.state == ActorState.RESTARTING else "is not created yet"
        placed = self._report.explain_actor(actor.scheduler_id)
        if actor.worker is None:
            return f"its actor {again}: {placed}"
        return f"its actor {again}: its __init__ has begun in process {actor.worker.pid}"
