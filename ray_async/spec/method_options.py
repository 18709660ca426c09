"""Options of calls of methods: those that the class declares, and those of one call over them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from ray_async.spec.option_values import NumReturns, RetryExceptions, read_num_returns, read_retry_exceptions

__all__ = ("MethodOptions",)

#: Keywords that have another name than the field that they set.
_FIELDS = {
    "_generator_backpressure_num_objects": "generator_backpressure",
    "_generator_detached": "generator_detached",
    "_labels": "labels",
    "_num_objects_per_yield": "objects_per_yield",
}


class MethodOptions(NamedTuple):
    """What a session must know to call a method.

    Args:
        name: Name shown in listings and errors; None is ``Class.method``.
        num_returns: A count, "streaming" or "dynamic".
        max_task_retries: Retries of the call; None is the actor's.
        retry_exceptions: Whether, or for which exceptions, a failure of the method is retried.
        concurrency_group: The group it runs in; None is the default group.
        enable_task_events: Whether the call appears in listings and timelines; None is as the actor's.
        generator_backpressure: As for tasks; None is the actor's.
        objects_per_yield: Objects that one ``yield`` makes.
        labels: Labels of the call itself.
        run_in_thread: Whether a sync method of an async actor runs in a thread; None is the actor's.
        generator_detached: As for tasks.
    """

    name: str | None = None
    num_returns: NumReturns = 1
    max_task_retries: int | None = None
    retry_exceptions: RetryExceptions = False
    concurrency_group: str | None = None
    enable_task_events: bool | None = None
    generator_backpressure: int | None = None
    objects_per_yield: int = 1
    labels: Mapping[str, str] | None = None
    run_in_thread: bool | None = None
    generator_detached: bool = False

    def merge(self, given: Mapping[str, Any], *, is_generator: bool) -> MethodOptions:
        """Apply validated options of one call over these, key by key."""
        given = {key: value for key, value in given.items() if key != "tensor_transport"}  # there is one only
        changes = {_FIELDS.get(key, key): value for key, value in given.items() if value is not None}
        if "retry_exceptions" in changes:
            changes["retry_exceptions"] = read_retry_exceptions(changes["retry_exceptions"])
        if "num_returns" in changes:
            changes["num_returns"] = read_num_returns(changes["num_returns"], is_generator)
        return self._replace(**changes)
