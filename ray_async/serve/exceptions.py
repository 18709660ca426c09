"""Errors of Serve.

RayServeException                   a wrong use, or a request that Serve could not carry out
├── BackPressureError               the caller's queue is full (HTTP: 503, or as its deployment says)
├── DeploymentUnavailableError      no such deployment any more (HTTP: 503)
├── ExternalScalerDisabledError     a number of replicas for an application that is not scaled from outside
└── RequestCancelledError           the request was cancelled
"""

from __future__ import annotations

import math

from ray_async.exceptions import RayError, TaskCancelledError

__all__ = (
    "BackPressureError",
    "DeploymentUnavailableError",
    "ExternalScalerDisabledError",
    "RayServeException",
    "RequestCancelledError",
)


class RayServeException(RayError):
    """A wrong use of Serve, or a request that Serve could not carry out."""


class BackPressureError(RayServeException):
    """A caller's queue for a deployment is full.

    Args:
        deployment: The deployment's name.
        limit: Its `max_queued_requests`.
        status_code: The status by which an HTTP client is told.
        retry_after_s: Seconds after which it shall try again; None: nothing is said.
    """

    def __init__(self, deployment: str, limit: int, status_code: int = 503, retry_after_s: float | None = None) -> None:
        super().__init__(deployment, limit, status_code, retry_after_s)
        self.deployment = deployment
        self.limit = limit
        self.status_code = status_code
        self.retry_after_s = retry_after_s

    @property
    def headers(self) -> dict[str, str]:
        """The headers of the answer to an HTTP client."""
        return {} if self.retry_after_s is None else {"retry-after": str(math.ceil(self.retry_after_s))}

    def __str__(self) -> str:
        return (
            f"Request to deployment {self.deployment!r} refused: all replicas are busy and max_queued_requests="
            f"{self.limit} requests of this caller wait already."
        )


class DeploymentUnavailableError(RayServeException):
    """A deployment that does not exist, or exists no more."""


class ExternalScalerDisabledError(RayServeException):
    """A number of replicas for an application that is not scaled from outside.

    Args:
        app: The application's name.
    """

    def __init__(self, app: str) -> None:
        super().__init__(app)
        self.app = app

    def __str__(self) -> str:
        return f"Application {self.app!r} is not scaled from outside: deploy it with external_scaler_enabled=True."


class RequestCancelledError(RayServeException, TaskCancelledError):
    """A request that was cancelled before it had an answer.

    Args:
        request_id: The request's id.
    """

    def __init__(self, request_id: str = "") -> None:
        Exception.__init__(self, request_id)
        self.request_id = request_id

    def __str__(self) -> str:
        return f"Request {self.request_id} was cancelled."
