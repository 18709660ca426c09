"""Waiting and cancelling in coroutines, by the import path that programs use; at home in `api.aio`."""

from ray_async.api.aio import CancelScope, as_completed, cancel_scope, cancelling, ready, wait

__all__ = (
    "CancelScope",
    "as_completed",
    "cancel_scope",
    "cancelling",
    "ready",
    "wait",
)
