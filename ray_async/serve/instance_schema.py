"""Models (Pydantic's) of what the REST API shows, which pass over fields which they do not know."""

from __future__ import annotations

from typing import Any

import pydantic

from ray_async.serve.status_values import ApplicationStatus, DeploymentStatus

__all__ = ("ApplicationDetails", "DeploymentDetails", "ServeInstanceDetails")


class _Model(pydantic.BaseModel):
    model_config = pydantic.ConfigDict(extra="ignore")


class DeploymentDetails(_Model):
    """A deployment that runs."""

    name: str
    status: DeploymentStatus
    status_trigger: str = ""
    message: str = ""
    deployment_config: dict[str, Any] = {}
    target_num_replicas: int | None = None
    required_resources: dict[str, Any] = {}
    replicas: list[dict[str, Any]] = []


class ApplicationDetails(_Model):
    """An application that runs."""

    name: str
    route_prefix: str | None = None
    docs_path: str | None = None
    status: ApplicationStatus
    message: str = ""
    last_deployed_time_s: float = 0
    source: str = "unknown"
    deployments: dict[str, DeploymentDetails] = {}
    external_scaler_enabled: bool = False


class ServeInstanceDetails(_Model):
    """All that runs.

    Example:
        >>> details = ServeInstanceDetails(**response.json())
        >>> details.applications["default"].status
    """

    controller_info: dict[str, Any] = {}
    proxy_location: str | None = None
    http_options: dict[str, Any] | None = None
    grpc_options: dict[str, Any] | None = None
    proxies: dict[str, dict[str, Any]] = {}
    applications: dict[str, ApplicationDetails] = {}
    target_capacity: float | None = None
