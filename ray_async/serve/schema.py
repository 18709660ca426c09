"""Serve's schemas, where programs written for Ray look for them."""

from __future__ import annotations

from ray_async.serve.deploying.schema import ApplicationSchema as ServeApplicationSchema
from ray_async.serve.deploying.schema import (
    DeploymentSchema,
    HTTPOptionsSchema,
    ServeDeploySchema,
)
from ray_async.serve.status_values import ApplicationStatus, ServeStatus
from ray_async.serve.telemetry.logging_config import ServeLoggingConfig as LoggingConfig
from ray_async.serve.telemetry.tracing_config import TracingConfig

__all__ = (
    "ApplicationStatus",
    "DeploymentSchema",
    "HTTPOptionsSchema",
    "LoggingConfig",
    "ServeApplicationSchema",
    "ServeDeploySchema",
    "ServeStatus",
    "TracingConfig",
)
