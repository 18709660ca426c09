"""Deploying what a config says."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import MISSING, asdict, fields, replace
from difflib import get_close_matches
from typing import Any

from ray_async.serve.application import (
    Application,
    BuiltApplication,
    ConfigSettings,
    build,
    scaled_from_outside,
    with_environment,
    with_logging,
)
from ray_async.serve.config import (
    BackpressureConfig,
    DeploymentActorConfig,
    GangSchedulingConfig,
    HTTPOptions,
    RequestRouterConfig,
    gRPCOptions,
)
from ray_async.serve.deploying.import_path import find_application
from ray_async.serve.deploying.schema import (
    AutoscalingSchema,
    BackpressureSchema,
    ConfigError,
    DeploymentSchema,
    HTTPOptionsSchema,
    LoggingConfigSchema,
    RequestRouterSchema,
    ServeDeploySchema,
    gRPCOptionsSchema,
)
from ray_async.serve.deployment_actors import resolved
from ray_async.serve.options import DeploymentOptions
from ray_async.serve.telemetry.logging_config import ServeLoggingConfig

__all__ = ("as_config", "as_options", "built_of", "grpc_of", "http_of", "overridden", "settings_of")


def http_of(schema: HTTPOptionsSchema) -> HTTPOptions:
    """The HTTP options that a config names."""
    try:
        return HTTPOptions(**schema.model_dump())
    except ValueError as error:
        raise ConfigError(f"http_options: {error}") from None


def grpc_of(schema: gRPCOptionsSchema) -> gRPCOptions | None:
    """The gRPC options that a config names; None where it names no services."""
    if not schema.grpc_servicer_functions:
        return None
    try:
        return gRPCOptions(**schema.model_dump())
    except ValueError as error:
        raise ConfigError(f"grpc_options: {error}") from None


def settings_of(config: ServeDeploySchema) -> ConfigSettings:
    """What a config says beside its applications."""
    tracing = None if config.tracing_config is None else config.tracing_config.config()
    controller = None if config.controller_options is None else config.controller_options.config()
    return ConfigSettings(config.target_capacity, tracing, config.proxy_location == "Disabled", controller)


def built_of(config: ServeDeploySchema) -> list[BuiltApplication]:
    """The applications of a config; nothing is deployed yet.

    Raises:
        ConfigError: Something is not there, or an option is not allowed.
    """
    result = []
    for number, application in enumerate(config.applications):
        try:
            target = find_application(application.import_path, application.args)
            built = build(target, application.name, application.route_prefix)
            built = with_environment(overridden(built, application.deployments), application.runtime_env)
            logs = application.logging_config or config.logging_config
            built = with_logging(built, None if logs is None else logs.config())
            policy = application.autoscaling_policy
            built = replace(built, declared=True, autoscaling_policy=None if policy is None else policy.config())
            result.append(scaled_from_outside(built) if application.external_scaler_enabled else built)
        except (ConfigError, ValueError) as error:
            raise ConfigError(f"applications[{number}] ({application.name}): {error}") from None
    return result


def overridden(built: BuiltApplication, deployments: Iterable[DeploymentSchema]) -> BuiltApplication:
    """An application with what a config changes of its deployments.

    Raises:
        ConfigError: A deployment that it does not have, or an option that is not allowed.
    """
    specs = {spec.name: spec for spec in built.deployments}
    for number, deployment in enumerate(deployments):
        spec = specs.get(deployment.name)
        if spec is None:
            near = get_close_matches(deployment.name, specs, n=1)
            raise ConfigError(
                f"deployments[{number}].name: the application has no deployment {deployment.name!r}, but "
                f"{', '.join(specs)}." + (f" Did you mean {near[0]!r}?" if near else "")
            )
        try:
            options = spec.options.changed(_changes(deployment))
            options = replace(options, deployment_actors=resolved(options.deployment_actors))
            specs[spec.name] = replace(spec, options=options)
        except (TypeError, ValueError, NotImplementedError) as error:
            raise ConfigError(f"deployments[{number}] ({spec.name}): {error}") from None
    return replace(built, deployments=tuple(specs.values()))


def _changes(deployment: DeploymentSchema) -> dict[str, Any]:
    """The options that a file gives; null stands for the default."""
    given = deployment.given()
    del given["name"]
    # Of the two ways to say how many, one that is null says nothing beside the other.
    for one, other in (("num_replicas", "autoscaling_config"), ("autoscaling_config", "num_replicas")):
        if given.get(one, MISSING) is None and given.get(other) is not None:
            del given[one]
    defaults = {field.name: _default(field) for field in fields(DeploymentOptions)}
    for name, value in given.items():
        if isinstance(value, LoggingConfigSchema | RequestRouterSchema | BackpressureSchema):
            given[name] = value.config()
        elif isinstance(value, AutoscalingSchema):
            given[name] = value.given()
    if given.get("deployment_actors") is not None:
        given["deployment_actors"] = [actor.model_dump() for actor in given["deployment_actors"]]
    if given.get("gang_scheduling_config") is not None:
        given["gang_scheduling_config"] = given["gang_scheduling_config"].model_dump()
    return {name: defaults[name] if value is None else value for name, value in given.items()}


def _default(field: Any) -> Any:
    return (
        field.default_factory() if field.default is MISSING and field.default_factory is not MISSING else field.default
    )


def as_config(applications: Iterable[tuple[str, Application]]) -> dict[str, Any]:
    """The config that says what applications say themselves.

    Args:
        applications: Each with its import path.
    """
    listed = []
    for number, (import_path, target) in enumerate(applications):
        first = number == 0
        built = build(target, "app1" if first else f"app{number + 1}", "/" if first else f"/app{number + 1}")
        listed.append(
            {
                "name": built.name,
                "route_prefix": built.route_prefix,
                "import_path": import_path,
                "deployments": [as_options(spec.options, spec.name) for spec in built.deployments],
            }
        )
    servers = {"http_options": HTTPOptionsSchema().model_dump(), "grpc_options": gRPCOptionsSchema().model_dump()}
    return {**servers, "applications": listed}


def as_options(options: DeploymentOptions, name: str) -> dict[str, Any]:
    """Options as a config has them: those that differ from the defaults, and the number of replicas."""
    scaling = options.autoscaling_config
    shown: dict[str, Any] = {"name": name}
    if scaling is None:
        shown["num_replicas"] = options.num_replicas
    else:
        shown["autoscaling_config"] = {key: value for key, value in asdict(scaling).items() if value is not None}
        if scaling.policy is not None:
            policy = {"policy_function": scaling.policy.name, "policy_kwargs": dict(scaling.policy.policy_kwargs)}
            shown["autoscaling_config"]["policy"] = policy
    for field in fields(options):
        value = getattr(options, field.name)
        if field.name not in ("name", "num_replicas", "autoscaling_config") and value != _default(field):
            shown[field.name] = _shown(value)
    return shown


def _shown(value: Any) -> Any:
    if isinstance(value, RequestRouterConfig):
        return asdict(value) | {"request_router_class": value.name}
    if isinstance(value, ServeLoggingConfig | BackpressureConfig):
        return asdict(value)
    if isinstance(value, GangSchedulingConfig):
        return {key: str(one) if isinstance(one, str) else one for key, one in asdict(value).items()}
    if isinstance(value, tuple):
        return [one.as_dict() if isinstance(one, DeploymentActorConfig) else dict(one) for one in value]
    return value
