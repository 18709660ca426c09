"""Submitting programs to a cluster: names that programs import; there is no server that takes any."""

from __future__ import annotations

from enum import StrEnum
from typing import Any

__all__ = ("JobStatus", "JobSubmissionClient")


class JobStatus(StrEnum):
    """What has become of a submitted program."""

    PENDING = "PENDING"
    RUNNING = "RUNNING"
    STOPPED = "STOPPED"
    SUCCEEDED = "SUCCEEDED"
    FAILED = "FAILED"

    def is_terminal(self) -> bool:
        """Say whether nothing more will become of it."""
        return self in {JobStatus.STOPPED, JobStatus.SUCCEEDED, JobStatus.FAILED}


class JobSubmissionClient:
    """Submits programs, in Ray.

    Raises:
        NotImplementedError: Always.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        raise NotImplementedError(
            "Jobs cannot be submitted here: run the program, and let it init() to a running node."
        )
