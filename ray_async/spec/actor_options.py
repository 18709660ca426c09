"""Options of actors, resolved: defaults filled in, resources counted, combinations checked."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from ray_async.config import DEFAULT_MAX_CONCURRENCY_ASYNC, Settings
from ray_async.spec.option_values import read_strategy
from ray_async.spec.resource_request import resource_mapping

if TYPE_CHECKING:
    from ray_async.spec.strategies import SchedulingStrategyT

__all__ = ("ActorOptions",)


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
    scheduling_strategy: SchedulingStrategyT
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
            scheduling_strategy=read_strategy(given),
            label_selector=given.get("label_selector"),
            fallback_strategy=given.get("fallback_strategy"),
            enable_task_events=given.get("enable_task_events", True),
            labels=given.get("_labels"),
            run_in_thread=given.get("run_in_thread") or False,
            generator_backpressure=given.get("_actor_generator_backpressure_num_objects"),
        )


def _or(value: int | None, default: int) -> int:
    return default if value is None else value


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
