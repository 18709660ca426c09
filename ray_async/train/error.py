"""Errors of Train."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ray_async.exceptions import RayError

__all__ = ("TrainingFailedError", "WorkerGroupError")


class TrainingFailedError(RayError, RuntimeError):
    """A training run has failed for good."""


class WorkerGroupError(TrainingFailedError):
    """Workers of a training run failed or died.

    Args:
        error_message: What happened, worker by worker.
        worker_failures: The failures by rank.
    """

    def __init__(self, error_message: str, worker_failures: Mapping[int, BaseException]) -> None:
        super().__init__(error_message)
        self.error_message = error_message
        self.worker_failures = dict(worker_failures)

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.error_message, self.worker_failures)
