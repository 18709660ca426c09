"""Applications: deployments bound to their arguments, and what is deployed of them."""

from __future__ import annotations

import copy
import hashlib
import os
import sys
from collections.abc import Callable, Iterable, Mapping
from dataclasses import field, replace
from functools import cached_property
from types import FunctionType, ModuleType
from typing import Any, Generic, TypeVar

from ray_async.serve.asgi_class import let_state_be_pickled
from ray_async.serve.autoscaling_config import AutoscalingPolicy
from ray_async.serve.controller_options import ControllerOptions
from ray_async.serve.deployment_actors import resolved
from ray_async.serve.environment import merged_environment
from ray_async.serve.frozen_dataclass import dataclass
from ray_async.serve.handle.handle import DeploymentHandle
from ray_async.serve.options import DeploymentOptions
from ray_async.serve.telemetry.logging_config import ServeLoggingConfig
from ray_async.serve.telemetry.tracing_config import TracingConfig
from ray_async.util.serialization import dumps

__all__ = (
    "Application",
    "BuiltApplication",
    "ConfigSettings",
    "DeploymentSpec",
    "build",
    "scaled_from_outside",
    "take_apart",
    "with_environment",
    "with_logging",
)

H = TypeVar("H")


class Application:
    """A deployment bound to its constructor's arguments; made by `Deployment.bind`, passed to `serve.run`.

    An application among the arguments of another one stands for its handle, also in lists, tuples, dicts and attributes
    of objects.
    """

    def __init__(
        self,
        func_or_class: Callable[..., Any],
        options: DeploymentOptions,
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
    ) -> None:
        self.func_or_class = func_or_class
        self.options = options
        self.args = args
        self.kwargs = kwargs


@dataclass(frozen=True)
class DeploymentSpec:
    """All that the controller knows of a deployment.

    Args:
        name: Unique in its application.
        options: Its options.
        code: The pickled class or function, arguments and keyword arguments.
        path: Where the driver finds modules; replicas look there too.
    """

    name: str
    options: DeploymentOptions
    code: bytes
    path: tuple[str, ...] = field(default=(), compare=False)

    @cached_property
    def version(self) -> str:
        """What replicas are replaced for when it changes: code, arguments, actor's options, place, what they share."""
        actor = repr(sorted(self.options.ray_actor_options.items()))
        digest = hashlib.sha256(self.code + actor.encode())
        for one in self.options.deployment_actors:
            digest.update(repr((one.name, sorted(one.actor_options.items()), one.code)).encode())
        gangs = self.options.gang_scheduling_config
        if gangs is not None:
            digest.update(f"{gangs.gang_size} {gangs.gang_placement_strategy}".encode())
        placed = self.options.placement_group_bundles, self.options.max_replicas_per_node
        if placed != (None, None):
            strategy, selectors = self.options.placement_group_strategy, self.options.bundle_selectors
            digest.update(repr((placed, strategy or "PACK", selectors)).encode())
        return digest.hexdigest()[:16]


@dataclass(frozen=True)
class BuiltApplication:
    """An application's deployments, each once; `ingress` is the one that takes its requests.

    With `wait_for_resources` replicas may wait for ever for what the node lacks. An application that is `declared` goes
    when a config does not name it any more. With `external_scaler` somebody else says how many replicas there shall be,
    by the REST API; `autoscaling_policy` decides for all deployments together.
    """

    name: str
    route_prefix: str | None
    ingress: str
    deployments: tuple[DeploymentSpec, ...]
    wait_for_resources: bool = False
    declared: bool = False
    external_scaler: bool = False
    autoscaling_policy: AutoscalingPolicy | None = None


@dataclass(frozen=True)
class ConfigSettings:
    """What a config says beside its applications.

    Args:
        target_capacity: The share of all replicas that there shall be, in percent; None: all.
        tracing: Where replicas send spans; None: it does not say.
        without_http: Whether HTTP is not served.
        controller: How the controller runs; None: it does not say.
    """

    target_capacity: float | None = None
    tracing: TracingConfig | None = None
    without_http: bool = False
    controller: ControllerOptions | None = None


def scaled_from_outside(built: BuiltApplication) -> BuiltApplication:
    """An application of whose replicas somebody else says how many there shall be.

    Raises:
        ValueError: A deployment scales by itself.
    """
    own = [spec.name for spec in built.deployments if spec.options.autoscaling_config is not None]
    if own or built.autoscaling_policy is not None:
        whose = f"deployment {own[0]!r} has an autoscaling_config" if own else "the application has a policy"
        raise ValueError(f"external_scaler_enabled: {whose}, and one excludes the other")
    return replace(built, external_scaler=True)


def with_environment(built: BuiltApplication, environment: Mapping[str, Any]) -> BuiltApplication:
    """An application whose deployments have an environment below their own."""
    if not environment:
        return built
    specs = []
    for spec in built.deployments:
        actor = dict(spec.options.ray_actor_options)
        actor["runtime_env"] = merged_environment(environment, actor.get("runtime_env") or {})
        specs.append(replace(spec, options=replace(spec.options, ray_actor_options=actor)))
    return replace(built, deployments=tuple(specs))


def with_logging(built: BuiltApplication, config: ServeLoggingConfig | None) -> BuiltApplication:
    """An application whose deployments log in a way, where they say nothing about it themselves."""
    if config is None:
        return built
    specs = [
        spec
        if spec.options.logging_config is not None
        else replace(spec, options=replace(spec.options, logging_config=config))
        for spec in built.deployments
    ]
    return replace(built, deployments=tuple(specs))


def build(target: Application, name: str, route_prefix: str | None) -> BuiltApplication:
    """Pickle an application's deployments, each once."""
    specs: list[DeploymentSpec] = []
    let_state_be_pickled()
    path = tuple(os.path.abspath(entry) for entry in sys.path)

    def found(unique: str, node: Application, args: tuple[Any, ...], kwargs: dict[str, Any]) -> DeploymentHandle:
        code = dumps((node.func_or_class, args, kwargs))  # with the names of its files
        options = replace(node.options, deployment_actors=resolved(node.options.deployment_actors))
        specs.append(DeploymentSpec(unique, options, code, path))
        return DeploymentHandle(unique, name)

    ingress = take_apart(target, found).deployment_name
    return BuiltApplication(name, route_prefix, ingress, tuple(specs))


Found = Callable[[str, Application, tuple[Any, ...], dict[str, Any]], H]


def take_apart(target: Application, found: Found[H]) -> H:
    """Take an application apart; what several arguments share is found once, and what is an argument goes first.

    Args:
        target: The application.
        found: Called for each deployment, with a unique name, what was bound, and the arguments, in which handles
            stand for applications. It gives the handle.

    Returns:
        The handle of the deployment that takes the application's requests.
    """
    return _Parts(found).handle(target)


class _Parts(Generic[H]):
    # No functions that know each other: these would be a cycle, and keep what they know for the collector.
    def __init__(self, found: Found[H]) -> None:
        self._found = found
        self._handles: dict[int, H] = {}
        self._names: set[str] = set()

    def handle(self, node: Application) -> H:
        if id(node) not in self._handles:
            args, kwargs = self._replaced(node.args, {}), self._replaced(node.kwargs, {})
            unique = _unique(node.options.name, self._names)
            self._names.add(unique)
            self._handles[id(node)] = self._found(unique, node, args, kwargs)
        return self._handles[id(node)]

    def _replaced(self, value: Any, seen: dict[int, Any]) -> Any:
        """The value with handles in place of applications; a copy of each object that has one, the rest as it is.

        Args:
            value: An argument, or a part of one.
            seen: What was looked at already, by identity, and what it has become.
        """
        if isinstance(value, Application):
            return self.handle(value)
        if id(value) in seen:
            return seen[id(value)]
        seen[id(value)] = value
        if type(value) in (list, tuple):
            items = [self._replaced(item, seen) for item in value]
            result = type(value)(items) if _differ(items, value) else value
        elif type(value) is dict:
            parts = {key: self._replaced(item, seen) for key, item in value.items()}
            result = parts if _differ(parts.values(), value.values()) else value
        elif _has_plain_state(value):
            state = {key: self._replaced(item, seen) for key, item in vars(value).items()}
            result = value
            if _differ(state.values(), vars(value).values()):
                result = copy.copy(value)
                vars(result).update(state)
        else:
            return value
        seen[id(value)] = result
        return result


def _differ(new: Iterable[Any], old: Iterable[Any]) -> bool:
    return any(one is not other for one, other in zip(new, old, strict=True))


def _has_plain_state(value: Any) -> bool:
    """Whether all that an object holds is in its ``__dict__``, as that of most classes that are written in Python."""
    kind = type(value)
    if isinstance(value, type | ModuleType | FunctionType) or kind.__module__ == "builtins":
        return False
    return isinstance(getattr(value, "__dict__", None), dict)


def _unique(name: str, taken: set[str]) -> str:
    unique, number = name, 0
    while unique in taken:
        number += 1
        unique = f"{name}_{number}"
    return unique
