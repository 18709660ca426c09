"""Options of tasks, resolved: defaults filled in, resources counted."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from ray_async.config import TASK_MAX_RETRIES, Settings
from ray_async.spec.option_values import (
    NumReturns,
    RetryExceptions,
    read_num_returns,
    read_retry_exceptions,
    read_strategy,
)
from ray_async.spec.resource_request import resource_mapping

if TYPE_CHECKING:
    from ray_async.spec.strategies import SchedulingStrategyT

__all__ = ("TaskOptions",)


class TaskOptions(NamedTuple):
    """What a session must know to run a task.

    Args:
        name: Name shown in listings and errors; None is the function's name.
        resources: Quantities held while the task runs, by resource.
        num_returns: A count, "streaming" or "dynamic".
        max_retries: Retries after the death of a worker; -1 has no limit.
        retry_exceptions: Whether, or for which exceptions, a failure of the function is retried.
        max_calls: Calls after which the worker is replaced; 0 is never.
        runtime_env: The environment, or None for the job's.
        scheduling_strategy: None (inherit), "DEFAULT", "SPREAD" or a strategy object.
        label_selector: Conditions on the node's labels.
        fallback_strategy: Selectors to try when no node fits.
        enable_task_events: Whether the task appears in listings and timelines.
        labels: Labels of the task itself, for listings.
        generator_backpressure: Unread objects at which a generator pauses; -1 has no limit; None is the default.
        objects_per_yield: Objects that one ``yield`` makes.
        generator_detached: Whether a generator runs on when nobody reads it any more.
    """

    name: str | None
    resources: Mapping[str, float]
    num_returns: NumReturns
    max_retries: int
    retry_exceptions: RetryExceptions
    max_calls: int
    runtime_env: Mapping[str, Any] | None
    scheduling_strategy: SchedulingStrategyT
    label_selector: Mapping[str, str] | None
    fallback_strategy: list[Mapping[str, Any]] | None
    enable_task_events: bool
    labels: Mapping[str, str] | None
    generator_backpressure: int | None
    objects_per_yield: int
    generator_detached: bool

    @classmethod
    def resolve(cls, given: Mapping[str, Any], *, is_generator: bool) -> TaskOptions:
        """Fill in the defaults of validated options.

        Raises:
            ValueError: A whole-device resource above one is fractional.
        """
        retries = given.get("max_retries")
        return cls(
            name=given.get("name"),
            resources=resource_mapping(given, num_cpus=1),
            num_returns=read_num_returns(given.get("num_returns"), is_generator),
            max_retries=Settings().get(TASK_MAX_RETRIES) if retries is None else retries,
            retry_exceptions=read_retry_exceptions(given.get("retry_exceptions", False)),
            max_calls=given.get("max_calls") or 0,
            runtime_env=given.get("runtime_env"),
            scheduling_strategy=read_strategy(given),
            label_selector=given.get("label_selector"),
            fallback_strategy=given.get("fallback_strategy"),
            enable_task_events=given.get("enable_task_events", True),
            labels=given.get("_labels"),
            generator_backpressure=given.get("_generator_backpressure_num_objects"),
            objects_per_yield=given.get("_num_objects_per_yield", 1),
            generator_detached=given.get("_generator_detached") or False,
        )
