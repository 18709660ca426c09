"""Building applications for the REST API, in a process that ends afterwards: what it imports is new each time."""

from __future__ import annotations

import sys
from typing import Any

import ray_async as ray
from ray_async.exceptions import RayTaskError
from ray_async.serve.application import BuiltApplication, ConfigSettings
from ray_async.serve.config import HTTPOptions, gRPCOptions
from ray_async.serve.deploying.schema import ConfigError
from ray_async.serve.frozen_dataclass import dataclass

__all__ = ("BuiltConfig", "build_config")


@dataclass(frozen=True)
class BuiltConfig:
    """What a config asks for.

    Args:
        applications: The applications.
        http: Where HTTP is served; None: the config does not say.
        default_http: Where it is served then, unless it is up already.
        grpc: Where gRPC is served, and for which services; None: nowhere.
        settings: What the config says beside.
    """

    applications: tuple[BuiltApplication, ...]
    http: HTTPOptions | None
    default_http: HTTPOptions
    grpc: gRPCOptions | None
    settings: ConfigSettings


def _build(config: dict[str, Any], path: tuple[str, ...]) -> BuiltConfig:
    # What it needs is no matter of replicas.
    from ray_async.serve.deploying.from_config import built_of, grpc_of, http_of, settings_of
    from ray_async.serve.deploying.schema import ServeDeploySchema

    sys.path[:0] = [entry for entry in path if entry not in sys.path]
    schema = ServeDeploySchema.of(config)
    http = http_of(schema.http_options)
    given = "http_options" in schema.model_fields_set
    built = tuple(built_of(schema))
    return BuiltConfig(built, http if given else None, http, grpc_of(schema.grpc_options), settings_of(schema))


async def build_config(config: dict[str, Any], path: tuple[str, ...]) -> BuiltConfig:
    """Import and build what a config names.

    Args:
        config: The config, which has been checked.
        path: Folders where modules are found.

    Raises:
        ConfigError: Something is not there, or raises when it is imported.
    """
    task = ray.remote(num_cpus=0, max_calls=1, max_retries=0)(_build)
    try:
        result: BuiltConfig = await task.remote(config, path)
    except RayTaskError as error:
        cause = error.cause
        if isinstance(cause, ConfigError):
            raise cause from None
        raise ConfigError(f"the applications cannot be built: {type(cause).__name__}: {cause}") from None
    return result
