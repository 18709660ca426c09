"""Records: what the controller writes down of itself, of applications, deployments and replicas. Plain values."""

from __future__ import annotations

from ray_async.serve.application import BuiltApplication, DeploymentSpec
from ray_async.serve.config import HTTPOptions
from ray_async.serve.controller.reconcile import ReplicaState
from ray_async.serve.frozen_dataclass import dataclass
from ray_async.serve.gang import GangContext
from ray_async.serve.rest.options import RESTOptions

__all__ = ("ApplicationRecord", "ControllerRecord", "DeploymentRecord", "ReplicaRecord")


@dataclass(frozen=True)
class ReplicaRecord:
    """A replica: its id, which names its actor, its slot on the board, what it runs, and its gang, if it is in one."""

    id: str
    place: int
    state: ReplicaState
    spec: DeploymentSpec
    gang: GangContext | None = None
    takes_http: bool = False


@dataclass(frozen=True)
class DeploymentRecord:
    """A deployment: what is wanted of it, how far that has come, and its replicas."""

    spec: DeploymentSpec
    serves_http: bool
    deleting: bool
    abandoned: bool
    waits_for_resources: bool
    proven: bool
    error: str | None
    failure: str | None
    attempts: int
    number: int
    replicas: tuple[ReplicaRecord, ...]


@dataclass(frozen=True)
class ApplicationRecord:
    """An application: what is wanted, what ran last, who takes its prefix over, and its deployments."""

    built: BuiltApplication
    ran: BuiltApplication | None
    failure: str | None
    deployed_at: float
    deleting: bool
    prefix: str | None
    successor: str | None
    deployments: tuple[DeploymentRecord, ...]
    retired: tuple[DeploymentRecord, ...]


@dataclass(frozen=True)
class ControllerRecord:
    """All that a new controller begins with; the address is where the listening socket was bound.

    The options of gRPC are pickled, since they may have functions; those of the REST API name the port that it has got.
    What is said of logs and traces is in a file of its own, which all processes read.
    """

    http: HTTPOptions | None = None
    address: tuple[str, int] | None = None
    applications: tuple[ApplicationRecord, ...] = ()
    grpc: bytes | None = None
    rest: RESTOptions | None = None
    without_http: bool = False
    capacity: float | None = None
