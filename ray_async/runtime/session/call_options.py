"""Rarely set options of a call, which travel beside its arguments: how the caller stores them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ray_async._core import store
from ray_async._core.call_options import CallOptions
from ray_async.spec.method_options import MethodOptions
from ray_async.spec.task_options import TaskOptions

if TYPE_CHECKING:
    from ray_async._core.arena import Arena
    from ray_async._core.object_ref import ObjectRef

__all__ = ("call_options", "creation_options")


def call_options(
    arena: Arena, options: TaskOptions | MethodOptions, name: str, listed: bool = True
) -> ObjectRef[CallOptions] | None:
    """Store the rarely set options, once for all calls of a template; None when there are none.

    Values are plain, for the node reads those that listings show and unpickles nothing; what else there is, is a
    reference.

    Args:
        arena: where they are stored.
        options: all of the call's.
        name: the function's own name.
        listed: whether listings show the call, where its options do not say so.
    """
    found: CallOptions = {}
    if options.name is not None and options.name != name:
        found["name"] = options.name
    if isinstance(options.retry_exceptions, tuple):
        found["retry_exceptions"] = store.put(arena, options.retry_exceptions)
    if options.num_returns == "dynamic":
        found["dynamic"] = True
    if options.objects_per_yield != 1:
        found["objects_per_yield"] = options.objects_per_yield
    if isinstance(options, MethodOptions) and options.concurrency_group:
        found["concurrency_group"] = options.concurrency_group
    if not (listed if options.enable_task_events is None else options.enable_task_events):
        found["enable_task_events"] = False
    if options.labels:
        found["labels"] = tuple((str(key), str(value)) for key, value in options.labels.items())
    return store.put(arena, found) if found else None


def creation_options(arena: Arena, listed: bool) -> ObjectRef[CallOptions] | None:
    """Store the options of a call of ``__init__``; None when there are none."""
    found: CallOptions = {"enable_task_events": False}
    return None if listed else store.put(arena, found)
