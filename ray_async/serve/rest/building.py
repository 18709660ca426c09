"""Building applications for the REST API, in a process that ends afterwards: what it imports is new each time."""

from __future__ import annotations

import sys
from typing import Any

import ray_async as ray
from ray_async.exceptions import RayTaskError
from ray_async.serve.application import BuiltApplication
from ray_async.serve.config import HTTPOptions
from ray_async.serve.deploying.schema import ConfigError

__all__ = ("build_config",)


def _build(config: dict[str, Any], path: tuple[str, ...]) -> tuple[list[BuiltApplication], HTTPOptions]:
    from ray_async.serve.deploying.from_config import built_of, http_of  # what it needs is no matter of replicas
    from ray_async.serve.deploying.schema import ServeDeploySchema

    sys.path[:0] = [entry for entry in path if entry not in sys.path]
    schema = ServeDeploySchema.of(config)
    return built_of(schema), http_of(schema.http_options)


async def build_config(config: dict[str, Any], path: tuple[str, ...]) -> tuple[list[BuiltApplication], HTTPOptions]:
    """Import and build what a config names.

    Args:
        config: The config, which has been checked.
        path: Folders where modules are found.

    Raises:
        ConfigError: Something is not there, or raises when it is imported.
    """
    task = ray.remote(num_cpus=0, max_calls=1, max_retries=0)(_build)
    try:
        result: tuple[list[BuiltApplication], HTTPOptions] = await task.remote(config, path)
    except RayTaskError as error:
        cause = error.cause
        if isinstance(cause, ConfigError):
            raise cause from None
        raise ConfigError(f"the applications cannot be built: {type(cause).__name__}: {cause}") from None
    return result
