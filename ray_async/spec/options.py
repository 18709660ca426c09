"""Options of tasks, actors and method calls, resolved: defaults filled in, resources counted, combinations checked."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from ray_async.config import DEFAULT_MAX_CONCURRENCY_ASYNC, TASK_MAX_RETRIES, Settings
from ray_async.spec.resource_request import resource_mapping

__all__ = ("ActorOptions", "MethodOptions", "TaskOptions", "merge_options")


NumReturns = int | str
RetryExceptions = bool | tuple[type[Exception], ...]


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
    scheduling_strategy: Any
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
            num_returns=_num_returns(given.get("num_returns"), is_generator),
            max_retries=_default_retries() if retries is None else retries,
            retry_exceptions=_retry_exceptions(given.get("retry_exceptions", False)),
            max_calls=given.get("max_calls") or 0,
            runtime_env=given.get("runtime_env"),
            scheduling_strategy=_strategy(given),
            label_selector=given.get("label_selector"),
            fallback_strategy=given.get("fallback_strategy"),
            enable_task_events=given.get("enable_task_events", True),
            labels=given.get("_labels"),
            generator_backpressure=given.get("_generator_backpressure_num_objects"),
            objects_per_yield=given.get("_num_objects_per_yield", 1),
            generator_detached=given.get("_generator_detached") or False,
        )


class ActorOptions(NamedTuple):
    """What a session must know to create an actor.

    Args:
        name: Name for ``get_actor``, or None.
        namespace: Namespace of the name; None is the job's.
        get_if_exists: Take the actor of that name if there is one.
        lifetime: "detached", "non_detached", or None for the job's default.
        resources: Quantities held for the actor's life, by resource.
        placement_resources: Quantities that must be free to place it.
        max_restarts: Restarts after a death; -1 has no limit.
        max_task_retries: Retries of calls across restarts; -1 has no limit.
        max_concurrency: Calls that may run at once.
        max_pending_calls: Calls that one handle may have outstanding; -1 has no limit.
        concurrency_groups: Concurrency by group name.
        allow_out_of_order: Whether calls may overtake others; None leaves it to the kind of actor.
        is_async: Whether the methods run on an event loop.
        runtime_env, scheduling_strategy, label_selector, fallback_strategy, enable_task_events, labels: As for tasks.
        generator_backpressure: Default for the generator methods, as for tasks.
        run_in_thread: Whether the sync methods of an async actor run in threads instead of on its loop.
    """

    name: str | None
    namespace: str | None
    get_if_exists: bool
    lifetime: str | None
    resources: Mapping[str, float]
    placement_resources: Mapping[str, float]
    max_restarts: int
    max_task_retries: int
    max_concurrency: int
    max_pending_calls: int
    concurrency_groups: Mapping[str, int]
    allow_out_of_order: bool | None
    is_async: bool
    runtime_env: Mapping[str, Any] | None
    scheduling_strategy: Any
    label_selector: Mapping[str, str] | None
    fallback_strategy: list[Mapping[str, Any]] | None
    enable_task_events: bool
    labels: Mapping[str, str] | None
    generator_backpressure: int | None
    run_in_thread: bool = False

    @classmethod
    def resolve(cls, given: Mapping[str, Any], *, is_async: bool) -> ActorOptions:
        """Fill in the defaults of validated options.

        Raises:
            ValueError: An empty name or namespace, order demanded of a concurrent actor, or a fraction of a
                whole-device resource above one.
        """
        _check_actor_name(given)
        running, placing = _actor_resources(given)
        default_concurrency = Settings().get(DEFAULT_MAX_CONCURRENCY_ASYNC) if is_async else 1
        concurrency = given.get("max_concurrency") or default_concurrency
        out_of_order = given.get("allow_out_of_order_execution")
        if out_of_order is False and (is_async or concurrency > 1):
            raise ValueError(
                "allow_out_of_order_execution=False is not possible for async actors or with max_concurrency above 1."
            )
        return cls(
            name=given.get("name"),
            namespace=given.get("namespace"),
            get_if_exists=given.get("get_if_exists", False),
            lifetime=given.get("lifetime"),
            resources=running,
            placement_resources=placing,
            max_restarts=given.get("max_restarts") or 0,
            max_task_retries=given.get("max_task_retries") or 0,
            max_concurrency=concurrency,
            max_pending_calls=_or(given.get("max_pending_calls"), -1),
            concurrency_groups=_concurrency_groups(given.get("concurrency_groups")),
            allow_out_of_order=out_of_order,
            is_async=is_async,
            runtime_env=given.get("runtime_env"),
            scheduling_strategy=_strategy(given),
            label_selector=given.get("label_selector"),
            fallback_strategy=given.get("fallback_strategy"),
            enable_task_events=given.get("enable_task_events", True),
            labels=given.get("_labels"),
            run_in_thread=given.get("run_in_thread") or False,
            generator_backpressure=given.get("_actor_generator_backpressure_num_objects"),
        )


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
        names = {"_generator_backpressure_num_objects": "generator_backpressure", "_labels": "labels"}
        names["_num_objects_per_yield"] = "objects_per_yield"
        names["_generator_detached"] = "generator_detached"
        given = {key: value for key, value in given.items() if key != "tensor_transport"}  # there is one only
        changes = {names.get(key, key): value for key, value in given.items() if value is not None}
        if "retry_exceptions" in changes:
            changes["retry_exceptions"] = _retry_exceptions(changes["retry_exceptions"])
        if "num_returns" in changes:
            changes["num_returns"] = _num_returns(changes["num_returns"], is_generator)
        return self._replace(**changes)


def merge_options(base: Mapping[str, Any], update: Mapping[str, Any]) -> dict[str, Any]:
    """Put options of ``.options()`` over those of the decorator, key by key; None clears.

    Example:
        >>> merge_options({"num_cpus": 1, "name": "a"}, {"num_cpus": 2})
        {'num_cpus': 2, 'name': 'a'}
    """
    return {**base, **update}


def _or(value: int | None, default: int) -> int:
    return default if value is None else value


def _default_retries() -> int:
    return Settings().get(TASK_MAX_RETRIES)


def _num_returns(value: NumReturns | None, is_generator: bool) -> NumReturns:
    if value is None:
        return "streaming" if is_generator else 1
    return value


def _retry_exceptions(value: Any) -> RetryExceptions:
    if isinstance(value, (list, tuple)):
        return tuple(value)
    return bool(value)


def _strategy(given: Mapping[str, Any]) -> Any:
    group = given.get("placement_group", "default")
    if group == "default":
        if given.get("placement_group_bundle_index", -1) != -1:
            raise ValueError("placement group bundle index must be -1 where no placement group is given")
        return given.get("scheduling_strategy")
    if group is None:  # the deprecated way to say: not in the captured group
        return given.get("scheduling_strategy") or "DEFAULT"
    from importlib import import_module  # strategies are the library's, above this module

    strategies = import_module("ray_async.util.scheduling_strategies")
    return strategies.PlacementGroupSchedulingStrategy(
        group,
        given.get("placement_group_bundle_index", -1),
        given.get("placement_group_capture_child_tasks"),
    )


def _check_actor_name(given: Mapping[str, Any]) -> None:
    if given.get("name") == "":
        raise ValueError("Actor name cannot be an empty string.")
    if given.get("namespace") == "":
        raise ValueError('"" is not a valid namespace. Pass None to use the namespace of the job.')
    if given.get("get_if_exists") and not given.get("name"):
        raise ValueError("The actor name must be specified to use `get_if_exists`.")


def _actor_resources(given: Mapping[str, Any]) -> tuple[dict[str, float], dict[str, float]]:
    """Resources held for life, and those needed to place: a default actor needs one CPU only to start."""
    holds = any(given.get(key) is not None for key in ("num_cpus", "num_gpus", "resources", "accelerator_type"))
    placing = resource_mapping(given, num_cpus=1)
    return (placing if holds else resource_mapping(given, num_cpus=0)), placing


def _concurrency_groups(given: Any) -> dict[str, int]:
    if isinstance(given, list):
        if given:
            raise ValueError("concurrency_groups must map group names to their concurrency.")
        return {}
    for name, size in (given or {}).items():
        if not isinstance(name, str) or not isinstance(size, int) or size < 1:
            raise ValueError(f"Concurrency group {name!r} must be a string with a size of at least 1, not {size!r}.")
    return dict(given or {})
