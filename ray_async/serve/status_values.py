"""Status values: what `serve.status` gives."""

from __future__ import annotations

from dataclasses import field
from enum import StrEnum

from ray_async.serve.frozen_dataclass import dataclass

__all__ = (
    "ApplicationStatus",
    "ApplicationStatusOverview",
    "DeploymentStatus",
    "DeploymentStatusOverview",
    "HTTPAcceptor",
    "ProxyStatus",
    "ServeStatus",
)


class ApplicationStatus(StrEnum):
    """What an application is doing."""

    DEPLOYING = "DEPLOYING"
    DEPLOY_FAILED = "DEPLOY_FAILED"
    RUNNING = "RUNNING"
    UNHEALTHY = "UNHEALTHY"
    DELETING = "DELETING"


class DeploymentStatus(StrEnum):
    """What a deployment is doing."""

    UPDATING = "UPDATING"
    HEALTHY = "HEALTHY"
    UNHEALTHY = "UNHEALTHY"
    DEPLOY_FAILED = "DEPLOY_FAILED"


class ProxyStatus(StrEnum):
    """What takes HTTP requests is doing on a node."""

    HEALTHY = "HEALTHY"


class HTTPAcceptor(StrEnum):
    """Who accepts HTTP connections."""

    NOBODY = ""
    REPLICAS = "REPLICAS"  # directly: nothing lies between a client and a replica
    CONTROLLER = "CONTROLLER"  # while no replica runs
    FRONT = "FRONT"  # the same, where applications scale to zero: an actor of its own, which routes what it accepts


@dataclass(frozen=True)
class DeploymentStatusOverview:
    """A deployment's status.

    Args:
        status: What it is doing.
        replica_states: How many replicas are in which state.
        message: Why, where it failed.
    """

    status: DeploymentStatus
    replica_states: dict[str, int]
    message: str = ""


@dataclass(frozen=True)
class ApplicationStatusOverview:
    """An application's status.

    Args:
        status: What it is doing.
        message: Why, where it failed.
        last_deployed_time_s: When it was deployed last, in seconds since the epoch.
        deployments: Its deployments by name.
        route_prefix: Where it takes HTTP requests; None: nowhere.
    """

    status: ApplicationStatus
    message: str
    last_deployed_time_s: float
    deployments: dict[str, DeploymentStatusOverview]
    route_prefix: str | None = None


@dataclass(frozen=True)
class ServeStatus:
    """The status of all.

    Args:
        applications: Applications by name.
        http_address: Where HTTP is served, as ``host:port``; empty where it is not.
        grpc_address: Where gRPC is served, likewise.
        rest_address: Where the REST API is served, likewise.
        rest_token_file: The file with its token, where one was made.
        is_tls: Whether HTTP is served encrypted.
        target_capacity: The share of all replicas that a config wants, in percent; None: it wants all.
        proxies: The nodes that take HTTP requests, by id. Replicas take them themselves, so the node is healthy where
            HTTP is served.
        http_accepted_by: Who accepts HTTP connections now.
    """

    applications: dict[str, ApplicationStatusOverview] = field(default_factory=dict)
    http_address: str = ""
    grpc_address: str = ""
    rest_address: str = ""
    rest_token_file: str = ""
    is_tls: bool = False
    target_capacity: float | None = None
    proxies: dict[str, ProxyStatus] = field(default_factory=dict)
    http_accepted_by: HTTPAcceptor = HTTPAcceptor.NOBODY

    @property
    def url(self) -> str:
        """Where HTTP is served, with its scheme; empty where it is not."""
        return self.http_address and f"http{'s' * self.is_tls}://{self.http_address}"
