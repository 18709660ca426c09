"""Explanations of a task that has no result yet, in words for whoever waits for the result."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ray_async._core import store, submission
from ray_async._core.constants import ActorState, RecordKind, RecordState

if TYPE_CHECKING:
    from ray_async.runtime.node.node import Node

__all__ = ("PendingExplainer",)

_MAX_ARGUMENT_LEVELS = 4  # arguments of arguments


class PendingExplainer:
    """Follows a task to what it waits for.

    Args:
        node: the process's parts.
    """

    def __init__(self, node: Node) -> None:
        self._node = node

    def explain(self, record: int, depth: int = _MAX_ARGUMENT_LEVELS) -> str:
        """Say what a task or call waits for; empty where nothing is known of it, or it has ended."""
        records = self._node.records
        if not records.is_record(record):
            return ""
        state, name = records.record_state(record), self._node.tasks.name_of(record)
        if state == RecordState.WAITING:
            return f"{name} waits for an argument{self._argument(record, depth)}"
        if state == RecordState.QUEUED:
            return self._queued(record, name)
        if state == RecordState.RUNNING:
            worker = self._node.workers.by_slot.get(records.runner(record))
            return f"{name} is running{f' in process {worker.pid}' if worker is not None else ''}."
        return ""

    def _argument(self, record: int, depth: int) -> str:
        """The first argument that is not there yet."""
        for ref in self._node.executor.direct_refs(record):
            if not store.is_ready(self._node.arena, ref):
                maker = submission.record_of(ref)
                reason = self.explain(maker, depth - 1) if maker and depth else ""
                return f" that is not there: {reason}" if reason else " that is not there."
        return "."

    def _queued(self, record: int, name: str) -> str:
        node = self._node
        facts = node.executor.facts(record)
        if facts["kind"] == RecordKind.TASK:
            reason = node.classes.explain(node.records.queue_of(record))
            return f"{name} is queued{f'; {reason}' if reason else ''}."
        actor = node.actors.by_offset.get(facts["actor"])
        if actor is None:
            return f"{name} is queued for an actor that the node does not know yet."
        if facts["kind"] == RecordKind.ACTOR_INIT or actor.state in (ActorState.PENDING, ActorState.RESTARTING):
            return f"{name} is queued; {self._creation(actor)}."
        ahead = node.view.queue_length(actor.queue)
        return f"{name} is queued for its actor, which runs other calls; {ahead} wait in its queue."

    def _creation(self, actor: Any) -> str:
        """What an actor that does not live yet waits for."""
        again = "is to be restarted" if actor.state == ActorState.RESTARTING else "is not created yet"
        placed = self._node.scheduler.report.explain_actor(actor.scheduler_id)
        if actor.worker is None:
            return f"its actor {again}: {placed}"
        return f"its actor {again}: its __init__ has begun in process {actor.worker.pid}"
