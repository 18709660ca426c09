"""Descriptions of jobs: what was submitted, and what has become of it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from enum import StrEnum
from typing import Any

from ray_async.suggestion import did_you_mean

__all__ = (
    "NAMESPACE",
    "DriverInfo",
    "JobDetails",
    "JobStatus",
    "JobType",
    "Submission",
    "SubmissionError",
    "actor_name",
)

NAMESPACE = "_ray_async_jobs"

_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}", re.ASCII)


class SubmissionError(ValueError):
    """A job that cannot be taken as it was submitted."""


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


class JobType(StrEnum):
    """How a job came: as a command that was submitted, or as a program that has called ``init``."""

    SUBMISSION = "SUBMISSION"
    DRIVER = "DRIVER"


@dataclass(frozen=True)
class DriverInfo:
    """The process of a job.

    Args:
        id: The job's id in hexadecimal digits.
        node_ip_address: Where it is.
        pid: Its process.
    """

    id: str
    node_ip_address: str
    pid: str


@dataclass(frozen=True)
class JobDetails:
    """A job.

    Args:
        type: How it came.
        job_id: Id of its driver; None for a command, which may have several or none.
        submission_id: Its name.
        status: What has become of it.
        entrypoint: The command.
        message: The same in words.
        error_type: None; which error there was is in the message.
        start_time, end_time: Milliseconds since 1970; None before.
        metadata: What was given with it.
        runtime_env: Its environment.
        driver_info: The process of the command, while it runs.
        driver_exit_code: The exit status of the command; negative for a signal.
        driver_agent_http_address, driver_node_id: None: there is one machine.
    """

    type: JobType
    submission_id: str
    status: JobStatus
    entrypoint: str
    message: str = ""
    job_id: str | None = None
    error_type: str | None = None
    start_time: int | None = None
    end_time: int | None = None
    metadata: dict[str, str] = field(default_factory=dict)
    runtime_env: dict[str, Any] = field(default_factory=dict)
    driver_info: DriverInfo | None = None
    driver_exit_code: int | None = None
    driver_agent_http_address: str | None = None
    driver_node_id: str | None = None

    @classmethod
    def from_json(cls, found: Mapping[str, Any]) -> JobDetails:
        """Read a job as the server gives it."""
        known = {one.name: found[one.name] for one in fields(cls) if one.name in found}
        driver = known.get("driver_info")
        return cls(
            **{
                **known,
                "type": JobType(known["type"]),
                "status": JobStatus(known["status"]),
                "driver_info": None if driver is None else DriverInfo(**driver),
            }
        )


@dataclass(frozen=True)
class Submission:
    """What is submitted.

    Args:
        submission_id: Its name.
        entrypoint: A command for the shell.
        runtime_env: The environment of the command, and of its tasks and actors.
        metadata: Texts by name.
        resources: What the command itself takes, by resource, as options of an actor.
    """

    submission_id: str
    entrypoint: str
    runtime_env: dict[str, Any]
    metadata: dict[str, str]
    resources: dict[str, Any]

    @classmethod
    def from_json(cls, given: Any, default_id: str) -> Submission:
        """Read what a client has sent.

        Args:
            given: the request's body.
            default_id: the name, where it gives none.

        Raises:
            SubmissionError: it is none.
        """
        if not isinstance(given, dict):
            raise SubmissionError("a job is an object of JSON")
        unknown = sorted(set(given) - {*_KEYS, *_OPTIONS})
        if unknown:
            hint = did_you_mean(unknown[0], {*_KEYS, *_OPTIONS})
            raise SubmissionError(f"a job has no {unknown[0]!r}.{hint}")
        name = given.get("submission_id") or given.get("job_id") or default_id
        if not isinstance(name, str) or not _NAME.fullmatch(name):
            raise SubmissionError(
                f"a job's id has up to 128 letters, digits, '_', '-' and '.', but is {str(name)[:200]!r}"
            )
        entrypoint = given.get("entrypoint")
        if not isinstance(entrypoint, str) or not entrypoint.strip():
            raise SubmissionError(f"entrypoint must be a command, but is {entrypoint!r}")
        metadata = _mapping(given, "metadata")
        if not all(isinstance(value, str) for value in metadata.values()):
            raise SubmissionError("metadata must be texts by name")
        return cls(name, entrypoint, _mapping(given, "runtime_env"), metadata, _resources(given))


_KEYS = ("submission_id", "job_id", "entrypoint", "runtime_env", "metadata")
#: Ray's names of what the command takes, and the options of an actor.
_OPTIONS = {
    "entrypoint_num_cpus": "num_cpus",
    "entrypoint_num_gpus": "num_gpus",
    "entrypoint_memory": "memory",
    "entrypoint_resources": "resources",
    "entrypoint_label_selector": "label_selector",
}


def _mapping(given: Mapping[str, Any], name: str) -> dict[str, Any]:
    found = given.get(name) or {}
    if not isinstance(found, dict):
        raise SubmissionError(f"{name} must be a mapping, but is {type(found).__name__}")
    return found


def _resources(given: Mapping[str, Any]) -> dict[str, Any]:
    options: dict[str, Any] = {"num_cpus": 0}
    for name, option in _OPTIONS.items():
        value = given.get(name)
        if value is None:
            continue
        if option in ("resources", "label_selector"):
            value = _mapping(given, name)
        elif not isinstance(value, int | float) or isinstance(value, bool) or not 0 <= value < float("inf"):
            raise SubmissionError(f"{name} must be a number that is not negative, but is {value!r}")
        options[option] = value
    return options


def actor_name(submission_id: str) -> str:
    """The name of a job's actor."""
    return f"job:{submission_id}"
