"""Deployment actors: actors that a deployment's replicas share, and that live as long as it does."""

from __future__ import annotations

import inspect
import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import field, fields, replace
from typing import Any
from urllib.parse import unquote

import ray_async as ray
from ray_async.serve.context import current_replica, local_context
from ray_async.serve.exceptions import RayServeException
from ray_async.serve.frozen_dataclass import dataclass
from ray_async.serve.names import DEPLOYMENT_ACTOR_PREFIX, NAMESPACE
from ray_async.util.serialization import dumps

__all__ = (
    "DeploymentActorConfig",
    "DeploymentActorContext",
    "get_deployment_actor",
    "get_deployment_actor_context",
    "resolved",
    "unique_name",
)

_OWN_OPTIONS = ("name", "namespace", "lifetime", "get_if_exists")
_NAME = re.compile(f"{DEPLOYMENT_ACTOR_PREFIX}(.+?)::(.+?)::(.+?)::(.+)")


@dataclass(frozen=True)
class DeploymentActorConfig:
    """An actor that the replicas of a deployment share.

    Args:
        name: Its name, by which replicas get its handle.
        actor_class: An actor class, a plain class, or the import path of either as ``module:name``.
        init_args: Arguments of its constructor.
        init_kwargs: Its keyword arguments.
        actor_options: Options of the actor. `max_restarts` is -1 unless they say otherwise; a `runtime_env` goes over
            that of the replicas key by key.

    Raises:
        TypeError: A value of the wrong type.
        ValueError: A name that is empty, or an option that Serve sets itself.

    Example:
        >>> serve.config.DeploymentActorConfig(name="cache", actor_class=Cache, init_kwargs={"size": 1000})
    """

    name: str
    actor_class: Any
    init_args: tuple[Any, ...] = ()
    init_kwargs: Mapping[str, Any] = field(default_factory=dict)
    actor_options: Mapping[str, Any] = field(default_factory=dict)
    code: bytes = field(default=b"", repr=False)  # once resolved: the class and the arguments, pickled

    def __post_init__(self) -> None:
        name: Any = self.name
        if not isinstance(name, str) or not name:
            raise ValueError(f"a deployment actor's name must be a string that is not empty, but is {name!r}")
        if not isinstance(self.init_args, list | tuple):
            raise TypeError(f"init_args of deployment actor {self.name!r} must be a list, but is {self.init_args!r}")
        object.__setattr__(self, "init_args", tuple(self.init_args))
        for field_name in ("init_kwargs", "actor_options"):
            if not isinstance(getattr(self, field_name), Mapping):
                raise TypeError(f"{field_name} of deployment actor {self.name!r} must be a dict")
        target = self.actor_class
        if isinstance(target, str):
            if not re.fullmatch(r"[^:]+[:.][^:]+", target):
                raise ValueError(f"actor_class must be 'module:name', but is {target!r}")
        elif not inspect.isclass(target) and not isinstance(target, ray.actor.ActorClass):
            raise TypeError(f"actor_class must be an actor class, a class or an import path, but is {target!r}")
        own = sorted(set(self.actor_options) & set(_OWN_OPTIONS))
        if own:
            raise ValueError(f"actor_options of deployment actor {self.name!r} may not have {own}: Serve sets them")

    @classmethod
    def all_of(cls, value: Iterable[DeploymentActorConfig | Mapping[str, Any]] | None) -> tuple[Any, ...]:
        """The actors that a value lists, as such or as their fields.

        Raises:
            TypeError: Something else, or an unknown field.
            ValueError: Two actors of one name, or a value that is not allowed.
        """
        if value is not None and not isinstance(value, list | tuple):
            raise TypeError(f"deployment_actors must be a list, but is {value!r}")
        allowed = [known.name for known in fields(cls)][:-1]
        for one in value or ():
            unknown = sorted(set(one) - set(allowed)) if isinstance(one, Mapping) else []
            if unknown or not isinstance(one, Mapping | cls):
                raise TypeError(f"a deployment actor has the fields {', '.join(allowed)}, but is {one!r}")
        found = tuple(cls(**one) if isinstance(one, Mapping) else one for one in value or ())
        names = [one.name for one in found]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ValueError(f"each deployment actor must have a name of its own, but {twice} are there more often")
        return found

    def as_dict(self) -> dict[str, Any]:
        """The fields as a config has them."""
        shown = {"name": self.name, "actor_class": _path_of(self.actor_class), "init_args": list(self.init_args)}
        return shown | {"init_kwargs": dict(self.init_kwargs), "actor_options": dict(self.actor_options)}


def resolved(actors: Iterable[DeploymentActorConfig]) -> tuple[DeploymentActorConfig, ...]:
    """The same actors, with their classes found and pickled: the controller has no use for user's objects.

    Raises:
        ConfigError: An import path that leads nowhere.
    """
    return tuple(one if one.code else _resolved(one) for one in actors)


def _resolved(actor: DeploymentActorConfig) -> DeploymentActorConfig:
    from ray_async.serve.deploying.import_path import find_attribute  # it imports applications, which resolve these

    target = find_attribute(actor.actor_class) if isinstance(actor.actor_class, str) else actor.actor_class
    code = dumps((target, actor.init_args, dict(actor.init_kwargs)))
    bare = replace(actor, actor_class=_path_of(actor.actor_class), code=code)
    try:
        json.dumps((bare.init_args, bare.init_kwargs))
    except TypeError:  # no config could say them, and nobody else looks
        return replace(bare, init_args=(), init_kwargs={})
    return bare


def _path_of(target: Any) -> str:
    if isinstance(target, str):
        return target
    return f"{target.__module__}:{target.__qualname__}"


@dataclass(frozen=True)
class DeploymentActorContext:
    """What deployment actor this process is.

    Args:
        deployment: Its deployment's name.
        app_name: The application's name.
        actor_name: Its own name.
        code_version: The version of the deployment, whose replicas share it.
    """

    deployment: str
    app_name: str
    actor_name: str
    code_version: str


def unique_name(app: str, deployment: str, version: str, name: str) -> str:
    """The name under which a deployment actor is found in Serve's namespace."""
    parts = (part.replace("%", "%25").replace(":", "%3A") for part in (app, deployment, version, name))
    return DEPLOYMENT_ACTOR_PREFIX + "::".join(parts)


def get_deployment_actor(actor_name: str) -> Any:
    """Give the handle of an actor of this replica's deployment.

    The handle stays good while the actor is restarted. It is that of another actor only after somebody has ended the
    first one for good.

    Args:
        actor_name: Its name, as the option `deployment_actors` has it.

    Raises:
        RayServeException: This is not called within a replica, or in local testing mode, which has no such actors.
        ValueError: There is none of that name now.

    Example:
        >>> cache = serve.get_deployment_actor("cache")
        >>> await cache.get.remote("key")
    """
    if local_context.get() is not None:
        raise RayServeException("Local testing mode has no deployment actors.")
    context = current_replica.context
    if context is None:
        raise RayServeException("get_deployment_actor() may only be called from within a replica of a deployment.")
    full = unique_name(context.app_name, context.deployment, context.code_version, actor_name)
    try:
        return ray.get_actor(full, namespace=NAMESPACE)
    except ValueError:
        raise ValueError(f"Deployment {context.deployment!r} has no actor {actor_name!r} that lives now.") from None


def get_deployment_actor_context() -> DeploymentActorContext:
    """Give the context of the deployment actor that this process is.

    Raises:
        RayServeException: It is none.

    Example:
        >>> serve.get_deployment_actor_context().deployment
        'Model'
    """
    name = ray.get_runtime_context().get_actor_name() if ray.is_initialized() else None
    found = _NAME.fullmatch(name or "")
    if found is None:
        raise RayServeException("get_deployment_actor_context() may only be called from within a deployment actor.")
    app, deployment, version, own = map(unquote, found.groups())
    return DeploymentActorContext(deployment, app, own, version)
