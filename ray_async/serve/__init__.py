"""Serve: models and other classes behind HTTP and handles.

`deployment` makes a deployment of a class, `bind` an application of deployments, and `run` deploys it. Requests reach
replicas by HTTP on a port that the replicas share, or by handles; a controller starts, replaces and scales them.
"""

from __future__ import annotations

import importlib
import sys
from types import ModuleType
from typing import Any

try:
    from ray_async.serve import exceptions, metrics
    from ray_async.serve.api import delete, get_app_handle, get_deployment_handle, run, shutdown, start, status
    from ray_async.serve.application import Application
    from ray_async.serve.asgi_class import ingress
    from ray_async.serve.batching.decorator import batch
    from ray_async.serve.config import (
        AutoscalingConfig,
        AutoscalingContext,
        AutoscalingPolicy,
        ControllerOptions,
        HTTPOptions,
        ProxyLocation,
        gRPCOptions,
    )
    from ray_async.serve.context import get_multiplexed_model_id, get_replica_context
    from ray_async.serve.deployment import Deployment, deployment
    from ray_async.serve.deployment_actors import get_deployment_actor, get_deployment_actor_context
    from ray_async.serve.handle.handle import DeploymentHandle
    from ray_async.serve.multiplexing.decorator import multiplexed
    from ray_async.serve.rest.options import RESTOptions
    from ray_async.serve.telemetry.tracing_config import TracingConfig
except ModuleNotFoundError as error:
    if (error.name or "").split(".")[0] in ("httptools", "starlette", "uvicorn", "websockets"):
        raise ImportError(
            f"ray_async.serve needs {error.name}, which is not installed: pip install 'ray_async[serve]'"
        ) from error
    raise

# What the zygote imports once the first worker, the controller, is on its way: replicas are forked with it.
__preload_next__ = ("ray_async.serve.replica.actor", "ray_async.runtime_context")

__all__ = (
    "Application",
    "AutoscalingConfig",
    "AutoscalingContext",
    "AutoscalingPolicy",
    "ControllerOptions",
    "Deployment",
    "DeploymentHandle",
    "HTTPOptions",
    "ProxyLocation",
    "RESTOptions",
    "TracingConfig",
    "batch",
    "delete",
    "deployment",
    "exceptions",
    "gRPCOptions",
    "get_app_handle",
    "get_deployment_actor",
    "get_deployment_actor_context",
    "get_deployment_handle",
    "get_multiplexed_model_id",
    "get_replica_context",
    "ingress",
    "metrics",
    "multiplexed",
    "run",
    "shutdown",
    "start",
    "status",
)


class _Package(ModuleType):
    """Package of which functions have names of modules: an import of such a module by an alias hides no function."""

    def __setattr__(self, name: str, value: object) -> None:
        if not (isinstance(value, ModuleType) and name in __all__ and callable(self.__dict__.get(name))):
            super().__setattr__(name, value)

    def __reduce__(self) -> tuple[Any, ...]:
        return importlib.import_module, (self.__name__,)  # as any module: by its name


sys.modules[__name__].__class__ = _Package
