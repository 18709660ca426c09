"""Requests about what there is: tasks, objects, workers and actors."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ray_async.engine.state import FieldFilter
from ray_async.runtime.node.actor_table import ActorTable
from ray_async.runtime.node.other_nodes import NodeMembership
from ray_async.runtime.node.pending_explainer import PendingExplainer
from ray_async.runtime.node.requests.messages import Answers, Message, Notices
from ray_async.runtime.node.state_rows import StateRows
from ray_async.runtime.node.task_history import TaskHistory
from ray_async.runtime.node.task_listing import TaskListing

if TYPE_CHECKING:
    from ray_async.transport.server import Peer

__all__ = ("StateRequests",)


class StateRequests:
    """Answers about the node's state.

    Args:
        tasks: rows of tasks.
        history: of tasks that have ended.
        rows: of objects and workers.
        actors: those that there are.
        explainer: of tasks that wait.
        cluster: whose other nodes may host actors.
    """

    def __init__(
        self,
        tasks: TaskListing,
        history: TaskHistory,
        rows: StateRows,
        actors: ActorTable,
        explainer: PendingExplainer,
        cluster: NodeMembership,
    ) -> None:
        self._listing = tasks
        self.answers: Answers = {
            "tasks": self._tasks,
            "task_counts": lambda peer, m: {"value": tasks.counts()},
            "explain_task": lambda peer, m: {"value": explainer.explain(int(m["record"]))},
            "objects": lambda peer, m: {"value": rows.objects()},
            "workers": lambda peer, m: {"value": rows.workers()},
            "actors": lambda peer, m: {"value": actors.rows()},
            "actor_elsewhere": lambda peer, m: {"value": cluster.others.is_actor_elsewhere(int(m["actor"]))},
        }
        self.notices: Notices = {"task_failed": history.reported}

    def _tasks(self, peer: Peer, message: Message) -> Message:
        filters = [FieldFilter(str(name), bool(equal), value) for name, equal, value in message["filters"]]
        rows, total = self._listing.page(filters, int(message["limit"]), int(message["offset"]))
        return {"value": {"rows": rows, "total": total}}
