"""Reports that a node may not start more workers, and what usually is the cause."""

from __future__ import annotations

from ray_async.runtime.scheduler.instructions import WorkerLimitReached
from ray_async.runtime.scheduler.node_table import NodeRow
from ray_async.runtime.scheduler.tables import ClusterState

__all__ = ("report_limit",)


def report_limit(state: ClusterState, node: NodeRow) -> None:
    """Report once that `node` is at its limit of workers; again only after it was below."""
    if node.limit_reported:
        return
    node.limit_reported = True
    limit, blocked = state.settings.max_task_workers, node.blocked_workers
    message = (
        f"Node {node.node_id} has reached its limit of {limit} workers, and {blocked} of them wait for other "
        "tasks. Each level of a recursion of tasks that wait for tasks needs a process of its own: limit its "
        "depth, pass references on instead of waiting for them, or use async tasks."
    )
    state.emit(WorkerLimitReached(node.node_id, limit, blocked, message))
