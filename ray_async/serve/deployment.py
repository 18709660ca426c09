"""Deployments: a class or function, and how many replicas of it serve requests."""

from __future__ import annotations

import inspect
import warnings
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NoReturn, overload

from ray_async.serve.application import Application
from ray_async.serve.backpressure_config import BackpressureConfig
from ray_async.serve.options import DeploymentOptions
from ray_async.serve.telemetry.logging_config import ServeLoggingConfig

if TYPE_CHECKING:
    from ray_async.serve.ray_schema import LenientDeploymentSchema

__all__ = ("Deployment", "deployment", "deployment_to_schema", "schema_to_deployment")


class Deployment:
    """A class or function with options; made by the `deployment` decorator."""

    def __init__(self, func_or_class: Callable[..., Any] | str, options: DeploymentOptions) -> None:
        self._func_or_class = func_or_class
        self._options = options

    def bind(self, *args: Any, **kwargs: Any) -> Application:
        """Bind the constructor's arguments.

        Args:
            args: Arguments; an application among them becomes its handle, also inside lists, tuples and dicts.
            kwargs: Keyword arguments, likewise.

        Raises:
            TypeError: Arguments for a function, which is not constructed.

        Example:
            >>> app = Pipeline.bind(Preprocessor.bind(), Classifier.bind())
        """
        target = self._func_or_class
        if isinstance(target, str):
            from ray_async.serve.deploying.import_path import find_attribute  # it imports deployments

            target = _checked(find_attribute(target))
        if not inspect.isclass(target) and (args or kwargs):
            raise TypeError(f"deployment {self.name!r} is a function, whose bind() takes no arguments")
        return Application(target, self._options, args, kwargs)

    def options(self, func_or_class: Callable[..., Any] | str | None = None, **options: Any) -> Deployment:
        """Give the same deployment with other options, those of `deployment`; the others are kept.

        Args:
            func_or_class: Another class or function, or its import path as ``module:name``, which `bind` imports. The
                deployment keeps its name.
            options: The options.

        Raises:
            TypeError: Neither a class nor a function, or an unknown option.
            ValueError: A value that is not allowed.
        """
        target = self._func_or_class if func_or_class is None else func_or_class
        return Deployment(target if isinstance(target, str) else _checked(target), self._options.changed(options))

    @property
    def name(self) -> str:
        """The deployment's name."""
        return self._options.name

    @property
    def func_or_class(self) -> Callable[..., Any] | str:
        """The class or function, or its import path."""
        return self._func_or_class

    @property
    def num_replicas(self) -> int:
        """How many replicas there are, at first if they are scaled."""
        return self._options.initial_replicas

    @property
    def user_config(self) -> Any:
        """What `reconfigure` gets."""
        return self._options.user_config

    @property
    def max_ongoing_requests(self) -> int:
        """How many requests a replica works on at a time."""
        return self._options.max_ongoing_requests

    @property
    def backpressure_config(self) -> BackpressureConfig | None:
        """How clients are told that too many requests wait; None: by 503."""
        return self._options.backpressure_config

    @property
    def max_queued_requests(self) -> int:
        """How many requests of one caller may wait; -1: any number."""
        return self._options.max_queued_requests

    @property
    def ray_actor_options(self) -> dict[str, Any]:
        """Options of the replicas' actors."""
        return dict(self._options.ray_actor_options)

    @property
    def logging_config(self) -> ServeLoggingConfig | None:
        """How the replicas log; None: as the application, or all of Serve."""
        return self._options.logging_config

    def set_logging_config(self, logging_config: ServeLoggingConfig | dict[str, Any]) -> None:
        """Let the replicas log in another way, from the next `serve.run` on.

        Raises:
            ValueError: A value that is not allowed.
        """
        self._options = self._options.changed({"logging_config": logging_config})

    def __call__(self, *args: Any, **kwargs: Any) -> NoReturn:
        """Refuse a direct call.

        Raises:
            RuntimeError: Always.
        """
        raise RuntimeError(
            f"Deployment {self.name!r} cannot be constructed directly: use {self.name}.bind(...) and serve.run()."
        )

    def __repr__(self) -> str:
        return f"Deployment(name={self.name!r})"


@overload
def deployment(func_or_class: Callable[..., Any], /) -> Deployment: ...


@overload
def deployment(func_or_class: str | None = None, /, **options: Any) -> Callable[[Callable[..., Any]], Deployment]: ...


def deployment(func_or_class: Callable[..., Any] | str | None = None, /, **options: Any) -> Any:
    """Make a deployment of a class or function; works with and without arguments.

    Args:
        func_or_class: The class, or a function that takes requests itself. A string, which Ray passes over, is passed
            over with a warning: a name is given as ``name=``.
        options: ``name``; ``num_replicas`` (an integer, or "auto"); ``autoscaling_config``; ``max_ongoing_requests``
            (5, for each replica); ``max_queued_requests`` (-1: any number, for each caller); ``user_config``;
            ``ray_actor_options``; ``health_check_period_s`` (10) and ``health_check_timeout_s`` (30);
            ``graceful_shutdown_timeout_s`` (20); ``max_constructor_retry_count`` (20, of which 3 are used);
            ``rolling_update_percentage`` (0.2); ``logging_config`` (a dict or a ``LoggingConfig``); ``idempotent``
            (False: whether requests may run twice, where a replica dies with them); ``deployment_actors`` (a list of
            ``serve.config.DeploymentActorConfig``, or of dicts); ``gang_scheduling_config`` (a
            ``serve.config.GangSchedulingConfig``, or a dict); ``request_router_config`` (a dict or a
            ``RequestRouterConfig``); ``backpressure_config`` (a dict or a ``BackpressureConfig``);
            ``placement_group_bundles`` (a list of dicts of resources: each replica reserves them all, and runs in the
            first), ``placement_group_strategy`` ("PACK") and ``placement_group_bundle_label_selector``;
            ``max_replicas_per_node`` (1 to 100); ``max_surge_percent`` (0: the share of replicas that an update may
            start above their number, at most 1).

    Raises:
        TypeError: Neither a class nor a function, or an unknown option.
        ValueError: A value that is not allowed.

    Example:
        >>> @serve.deployment(num_replicas=2)
        ... class Hello:
        ...     async def __call__(self, request):
        ...         return "hello"
    """

    def decorate(target: Callable[..., Any]) -> Deployment:
        _checked(target)
        named = {"name": target.__name__} | options
        return Deployment(target, DeploymentOptions(target.__name__).changed(named))

    if isinstance(func_or_class, str):
        warnings.warn(f"@serve.deployment takes no name by position: write name={func_or_class!r}", stacklevel=2)
        return decorate
    if func_or_class is None:
        return decorate
    return decorate(func_or_class)


def _checked(target: Any) -> Callable[..., Any]:
    if not (inspect.isclass(target) or inspect.isfunction(target)):
        raise TypeError(f"@serve.deployment is for classes and functions, not for {target!r}")
    return target


def deployment_to_schema(deployment: Deployment) -> LenientDeploymentSchema:
    """Give a deployment's options as a config's schema has them; those that are the default are not set."""
    from ray_async.serve.deploying.from_config import as_options  # Pydantic, which few need
    from ray_async.serve.ray_schema import LenientDeploymentSchema

    return LenientDeploymentSchema(**as_options(deployment._options, deployment.name))


def schema_to_deployment(schema: LenientDeploymentSchema) -> Deployment:
    """Give a deployment with the options of a schema; what it is a deployment of, no schema says: it cannot be called.

    Raises:
        ValueError: A value that is not allowed.
    """
    given = {name: getattr(schema, name) for name in schema.model_fields_set}
    actor = given.get("ray_actor_options")
    if actor is not None:
        given["ray_actor_options"] = actor.model_dump(exclude_unset=True)
    return Deployment(_nothing, DeploymentOptions(schema.name).changed(given))


def _nothing() -> NoReturn:
    raise RuntimeError("this deployment was made of a schema, which does not say of which class or function it is")
