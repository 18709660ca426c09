"""Types of options, by which type checkers refuse misspelt ones; `option_checks` checks them where programs run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypedDict

__all__ = ("ActorKeywords", "MethodKeywords", "RemoteKeywords", "TaskKeywords")


class _CommonKeywords(TypedDict, total=False):
    label_selector: Mapping[str, str] | None
    fallback_strategy: Sequence[Mapping[str, Any]] | None
    accelerator_type: str | None
    memory: float | None
    name: str | None
    num_cpus: float | None
    num_gpus: float | None
    object_store_memory: int | None
    placement_group: Any
    placement_group_bundle_index: int
    placement_group_capture_child_tasks: bool | None
    resources: Mapping[str, float] | None
    runtime_env: Mapping[str, Any] | None
    scheduling_strategy: Any
    enable_task_events: bool
    _labels: Mapping[str, str] | None


class TaskKeywords(_CommonKeywords, total=False):
    """Options of tasks, without ``num_returns``."""

    max_calls: int
    max_retries: int
    retry_exceptions: bool | Sequence[type[Exception]]
    _generator_backpressure_num_objects: int | None
    _num_objects_per_yield: int
    _generator_detached: bool | None


class ActorKeywords(_CommonKeywords, total=False):
    """Options of actors."""

    concurrency_groups: Mapping[str, int] | Sequence[Mapping[str, Any]] | None
    enable_tensor_transport: bool | None
    lifetime: str | None
    max_concurrency: int | None
    max_restarts: int
    max_task_retries: int
    max_pending_calls: int
    namespace: str | None
    get_if_exists: bool
    allow_out_of_order_execution: bool | None
    run_in_thread: bool | None
    _actor_generator_backpressure_num_objects: int | None


class RemoteKeywords(TaskKeywords, ActorKeywords, total=False):
    """Options of ``remote``, for functions and classes, without ``num_returns``."""


class MethodKeywords(TypedDict, total=False):
    """Options of actors' methods, without ``num_returns``."""

    name: str | None
    max_task_retries: int | None
    retry_exceptions: bool | Sequence[type[Exception]] | None
    concurrency_group: str | None
    enable_task_events: bool | None
    _generator_backpressure_num_objects: int | None
    _num_objects_per_yield: int | None
    _generator_detached: bool | None
    run_in_thread: bool | None
    tensor_transport: str | None
    _labels: Mapping[str, str] | None
