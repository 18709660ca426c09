"""Serve's schemas, where programs written for Ray look for them."""

from __future__ import annotations

from ray_async.serve.deploying.schema import HTTPOptionsSchema, gRPCOptionsSchema
from ray_async.serve.instance_schema import ApplicationDetails, DeploymentDetails, ServeInstanceDetails
from ray_async.serve.ray_schema import LenientDeploymentSchema as DeploymentSchema
from ray_async.serve.ray_schema import LenientDeploySchema as ServeDeploySchema
from ray_async.serve.ray_schema import RayActorOptionsSchema, ServeApplicationSchema
from ray_async.serve.status_values import ApplicationStatus, ServeStatus
from ray_async.serve.telemetry.logging_config import ServeLoggingConfig as LoggingConfig
from ray_async.serve.telemetry.tracing_config import TracingConfig

__all__ = (
    "ApplicationDetails",
    "ApplicationStatus",
    "DeploymentDetails",
    "DeploymentSchema",
    "HTTPOptionsSchema",
    "LoggingConfig",
    "RayActorOptionsSchema",
    "ServeApplicationSchema",
    "ServeDeploySchema",
    "ServeInstanceDetails",
    "ServeStatus",
    "TracingConfig",
    "gRPCOptionsSchema",
)
