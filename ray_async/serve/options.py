"""Options of a deployment, checked."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, field, fields, replace
from difflib import get_close_matches
from typing import Any

from ray_async.serve.config import (
    AutoscalingConfig,
    BackpressureConfig,
    DeploymentActorConfig,
    GangSchedulingConfig,
    RequestRouterConfig,
)
from ray_async.serve.frozen_dataclass import dataclass
from ray_async.serve.placement import check_placement
from ray_async.serve.telemetry.logging_config import ServeLoggingConfig

__all__ = ("DeploymentOptions",)

_ACTOR_OPTIONS = (
    "accelerator_type",
    "fallback_strategy",
    "label_selector",
    "memory",
    "num_cpus",
    "num_gpus",
    "resources",
    "runtime_env",
)


@dataclass(frozen=True)
class DeploymentOptions:
    """Options of a deployment; `Deployment` documents them."""

    name: str
    num_replicas: int = 1
    ray_actor_options: Mapping[str, Any] = field(default_factory=dict)
    user_config: Any = None
    max_ongoing_requests: int = 5
    max_queued_requests: int = -1
    autoscaling_config: AutoscalingConfig | None = None
    graceful_shutdown_wait_loop_s: float = 2
    graceful_shutdown_timeout_s: float = 20
    health_check_period_s: float = 10
    health_check_timeout_s: float = 30
    max_constructor_retry_count: int = 20
    rolling_update_percentage: float = 0.2
    idempotent: bool = False
    logging_config: ServeLoggingConfig | None = None
    request_router_config: RequestRouterConfig | None = None
    deployment_actors: tuple[DeploymentActorConfig, ...] = ()
    gang_scheduling_config: GangSchedulingConfig | None = None
    backpressure_config: BackpressureConfig | None = None
    placement_group_bundles: tuple[Mapping[str, float], ...] | None = None
    placement_group_strategy: str | None = None
    placement_group_bundle_label_selector: tuple[Mapping[str, str], ...] | None = None
    max_replicas_per_node: int | None = None
    max_surge_percent: float = 0

    def changed(self, options: Mapping[str, Any]) -> DeploymentOptions:
        """These options with some replaced.

        Raises:
            TypeError: An option that does not exist, or a value of the wrong type.
            ValueError: A value that is not allowed.
        """
        for key in options:
            if key == "version":
                raise ValueError("version is no option: what a deployment is made of tells versions apart")
            if key not in {known.name for known in fields(self)}:
                hint = _hint(key, (known.name for known in fields(self)))
                raise TypeError(f"deployment() got an unexpected keyword argument {key!r}.{hint}")
        given = dict(options)
        if given.get("num_replicas") == "auto" and self.autoscaling_config is not None:
            given.setdefault("autoscaling_config", self.autoscaling_config)
        if "num_replicas" in given or "autoscaling_config" in given:
            given.update(_scaling(given))
        if "logging_config" in given:
            given["logging_config"] = ServeLoggingConfig.of(given["logging_config"])
        if "request_router_config" in given:
            given["request_router_config"] = RequestRouterConfig.of(given["request_router_config"])
        if "deployment_actors" in given:
            given["deployment_actors"] = DeploymentActorConfig.all_of(given["deployment_actors"])
        if "gang_scheduling_config" in given:
            given["gang_scheduling_config"] = GangSchedulingConfig.of(given["gang_scheduling_config"])
        if "backpressure_config" in given:
            given["backpressure_config"] = BackpressureConfig.of(given["backpressure_config"])
        for key in ("placement_group_bundles", "placement_group_bundle_label_selector"):
            if isinstance(given.get(key), list):
                given[key] = tuple(given[key])
        result = replace(self, **given)
        _check(result)
        return result

    @property
    def initial_replicas(self) -> int:
        """How many replicas are started at first."""
        config = self.autoscaling_config
        if config is None:
            return self.num_replicas
        return self.whole_gangs(config.initial)

    def whole_gangs(self, replicas: int) -> int:
        """How many replicas there are, where so many are called for: those of whole gangs."""
        gangs, config = self.gang_scheduling_config, self.autoscaling_config
        if gangs is None or config is None:
            return replicas
        return gangs.rounded(replicas, config.max_replicas)

    @property
    def bundle_selectors(self) -> tuple[Mapping[str, str], ...]:
        """Conditions on the labels of each bundle's node; none where there are none."""
        selectors = self.placement_group_bundle_label_selector or ()
        return selectors * len(self.placement_group_bundles or ()) if len(selectors) == 1 else selectors

    @property
    def needs_room(self) -> bool:
        """Whether there may be no room on the nodes for more replicas than there shall be."""
        held = any(self.ray_actor_options.get(key) for key in ("num_cpus", "num_gpus", "resources", "memory"))
        return held or self.placement_group_bundles is not None or self.max_replicas_per_node is not None

    def as_dict(self) -> dict[str, Any]:
        """The options as plain values."""
        return asdict(self)


def _scaling(given: Mapping[str, Any]) -> dict[str, Any]:
    number, config = given.get("num_replicas"), given.get("autoscaling_config")
    if number == "auto":
        own = config if isinstance(config, dict) else {}
        auto = config if isinstance(config, AutoscalingConfig) else AutoscalingConfig.of({"max_replicas": 100} | own)
        return {"num_replicas": 1, "autoscaling_config": auto}
    if number is not None and config is not None:
        raise ValueError("num_replicas and autoscaling_config exclude each other, unless num_replicas is 'auto'")
    if number is not None:
        if isinstance(number, bool) or not isinstance(number, int):
            raise TypeError(f"num_replicas must be an integer or 'auto', but is {number!r}")
        return {"num_replicas": number, "autoscaling_config": None}
    return {"num_replicas": 1, "autoscaling_config": None if config is None else AutoscalingConfig.of(config)}


def _check(options: DeploymentOptions) -> None:
    if not isinstance(options.name, str):
        raise TypeError(f"a deployment's name must be a string, but is {options.name!r}")
    if not options.name or "#" in options.name:
        raise ValueError(f"a deployment's name must not be empty nor contain '#', but is {options.name!r}")
    _at_least(options, "num_replicas", 1)
    _at_least(options, "max_ongoing_requests", 1)
    _at_least(options, "max_queued_requests", -1)
    for name in ("graceful_shutdown_wait_loop_s", "graceful_shutdown_timeout_s"):
        _at_least(options, name, 0)
    for name in ("health_check_period_s", "health_check_timeout_s", "rolling_update_percentage"):
        if not getattr(options, name) > 0:
            raise ValueError(f"{name} must be positive, but is {getattr(options, name)}")
    if not 0 <= options.max_surge_percent <= 1:
        raise ValueError(f"max_surge_percent must be from 0 to 1, but is {options.max_surge_percent}")
    _check_gangs(options)
    unknown = sorted(set(options.ray_actor_options) - set(_ACTOR_OPTIONS))
    if unknown:
        raise ValueError(
            f"ray_actor_options {unknown} are not allowed.{_hint(unknown[0], _ACTOR_OPTIONS)} "
            f"Allowed are {list(_ACTOR_OPTIONS)}."
        )
    check_placement(options)
    try:
        json.dumps(options.user_config)
    except TypeError as error:
        raise ValueError(f"user_config must consist of plain JSON values: {error}") from error


def _check_gangs(options: DeploymentOptions) -> None:
    gangs, config = options.gang_scheduling_config, options.autoscaling_config
    if gangs is None:
        return
    size = gangs.gang_size
    if config is None:
        if options.num_replicas % size:
            raise ValueError(f"num_replicas ({options.num_replicas}) must be a multiple of gang_size ({size})")
    elif config.min_replicas == 0:
        raise ValueError("min_replicas must not be 0 where gang_scheduling_config is given: gangs do not scale to zero")
    elif gangs.most(config.max_replicas) < max(size, config.min_replicas):
        raise ValueError(
            f"no number of replicas from min_replicas ({config.min_replicas}) to max_replicas "
            f"({config.max_replicas}) is a multiple of gang_size ({size})"
        )


def _at_least(options: DeploymentOptions, name: str, least: int) -> None:
    value = getattr(options, name)
    if value is None or value < least:
        raise ValueError(f"{name} must be {least} or more, but is {value}")


def _hint(name: str, known: Iterable[str]) -> str:
    near = get_close_matches(name, sorted(known), n=1)
    return f" Did you mean {near[0]!r}?" if near else ""
