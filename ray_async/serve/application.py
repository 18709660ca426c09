"""Applications: deployments bound to their arguments, and what is deployed of them."""

from __future__ import annotations

import hashlib
import os
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from ray_async import serialization
from ray_async.serve.handle.handle import DeploymentHandle
from ray_async.serve.options import DeploymentOptions

__all__ = ("Application", "BuiltApplication", "DeploymentSpec", "build")


class Application:
    """A deployment bound to its constructor's arguments; made by `Deployment.bind`, passed to `serve.run`.

    An application among the arguments of another one stands for its handle.
    """

    def __init__(
        self,
        func_or_class: Callable[..., Any],
        options: DeploymentOptions,
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
    ) -> None:
        self._func_or_class = func_or_class
        self._options = options
        self._args = args
        self._kwargs = kwargs


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
        """What replicas are replaced for when it changes: code, arguments and the options of their actor."""
        actor = repr(sorted(self.options.ray_actor_options.items()))
        return hashlib.sha256(self.code + actor.encode()).hexdigest()[:16]


@dataclass(frozen=True)
class BuiltApplication:
    """An application's deployments, each once; `ingress` is the one that takes its requests.

    With `wait_for_resources` replicas may wait for ever for what the node lacks. An application that is `declared` goes
    when a config does not name it any more.
    """

    name: str
    route_prefix: str | None
    ingress: str
    deployments: tuple[DeploymentSpec, ...]
    wait_for_resources: bool = False
    declared: bool = False


def build(target: Application, name: str, route_prefix: str | None) -> BuiltApplication:
    """Take an application apart; what several arguments share is deployed once."""
    names: dict[int, str] = {}
    specs: list[DeploymentSpec] = []

    def deploy(node: Application) -> DeploymentHandle:
        if id(node) not in names:
            args = _replaced(node._args, deploy)
            kwargs = _replaced(node._kwargs, deploy)
            unique = _unique(node._options.name, set(names.values()))
            names[id(node)] = unique
            code = serialization.dumps((node._func_or_class, args, kwargs))  # with the names of its files
            path = tuple(os.path.abspath(entry) for entry in sys.path)
            specs.append(DeploymentSpec(unique, node._options, code, path))
        return DeploymentHandle(names[id(node)], name)

    ingress = deploy(target).deployment_name
    return BuiltApplication(name, route_prefix, ingress, tuple(specs))


def _replaced(value: Any, deploy: Callable[[Application], DeploymentHandle]) -> Any:
    if isinstance(value, Application):
        return deploy(value)
    if type(value) in (list, tuple):
        return type(value)([_replaced(item, deploy) for item in value])
    if type(value) is dict:
        return {key: _replaced(item, deploy) for key, item in value.items()}
    return value


def _unique(name: str, taken: set[str]) -> str:
    unique, number = name, 0
    while unique in taken:
        number += 1
        unique = f"{name}_{number}"
    return unique
