"""Names that programs written for Ray import: types of rows, and limits."""

from __future__ import annotations

from ray_async.util.state.listing import MAX_LIMIT
from ray_async.util.state.row import StateRow

__all__ = (
    "DEFAULT_LIMIT",
    "DEFAULT_RPC_TIMEOUT",
    "RAY_MAX_LIMIT_FROM_API_SERVER",
    "ActorState",
    "NodeState",
    "ObjectState",
    "PlacementGroupState",
    "TaskState",
    "WorkerState",
)

DEFAULT_LIMIT = 100
DEFAULT_RPC_TIMEOUT = 30
RAY_MAX_LIMIT_FROM_API_SERVER = MAX_LIMIT

# Rows differ by their fields only.
ActorState = NodeState = ObjectState = PlacementGroupState = TaskState = WorkerState = StateRow
