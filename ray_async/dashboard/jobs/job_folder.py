"""The folder of a job: what was submitted, what has become of it, and its output. All who know of the job share it."""

from __future__ import annotations

import dataclasses
import json
import os
import shutil
import tempfile
import time
from pathlib import Path
from typing import Any

from ray_async.dashboard.jobs.description import DriverInfo, JobDetails, JobStatus, JobType, Submission

__all__ = ("JobFolder",)


class JobFolder:
    """A job's folder.

    Args:
        path: where it is.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.log = path / "job.log"

    @classmethod
    def make(cls, jobs: Path, submission: Submission) -> JobFolder:
        """Make the folder of a new job.

        Raises:
            FileExistsError: there is a job of that name.
        """
        jobs.mkdir(mode=0o700, exist_ok=True)
        folder = cls(jobs / submission.submission_id)
        folder.path.mkdir(mode=0o700)
        folder.log.touch(mode=0o600)
        folder._write("job.json", {**dataclasses.asdict(submission), "submitted": time.time_ns() // 1_000_000})
        return folder

    def submission(self) -> Submission:
        """What was submitted.

        Raises:
            FileNotFoundError: there is no such job.
        """
        found = self._read("job.json")
        del found["submitted"]
        return Submission(**found)

    def set_state(self, status: JobStatus, message: str, **facts: Any) -> None:
        """Say what has become of it; facts that were said before are kept. The end is said once.

        Args:
            status: in a word.
            message: in words.
            facts: ``start_time``, ``end_time``, ``driver_exit_code``, ``pid``, ``node_ip``.
        """
        before = self.state()
        if not JobStatus(before.get("status", JobStatus.PENDING)).is_terminal():
            self._write("state.json", {**before, **facts, "status": status, "message": message})

    def state(self) -> dict[str, Any]:
        """What has become of it; empty at first."""
        try:
            return self._read("state.json")
        except FileNotFoundError:
            return {}

    def details(self) -> JobDetails:
        """The job.

        Raises:
            FileNotFoundError: there is no such job.
        """
        submission, state = self.submission(), self.state()
        status = JobStatus(state.get("status", JobStatus.PENDING))
        running = status is JobStatus.RUNNING
        return JobDetails(
            JobType.SUBMISSION,
            submission.submission_id,
            status,
            submission.entrypoint,
            state.get("message", "The job waits for a worker, or for the resources that it wants."),
            start_time=state.get("start_time"),
            end_time=state.get("end_time"),
            metadata=submission.metadata,
            runtime_env=submission.runtime_env,
            driver_info=DriverInfo("", state["node_ip"], str(state["pid"])) if running else None,
            driver_exit_code=state.get("driver_exit_code"),
        )

    def submitted(self) -> int:
        """When it was submitted, in milliseconds since 1970."""
        return int(self._read("job.json")["submitted"])

    def want_stop(self) -> None:
        """Say that the job is to end."""
        (self.path / "stop").touch(mode=0o600)

    def is_to_stop(self) -> bool:
        """Whether the job is to end."""
        return (self.path / "stop").exists()

    def delete(self) -> None:
        """Remove all that is known of the job."""
        shutil.rmtree(self.path)

    def _read(self, name: str) -> dict[str, Any]:
        found: dict[str, Any] = json.loads((self.path / name).read_text())
        return found

    def _write(self, name: str, value: dict[str, Any]) -> None:
        descriptor, new = tempfile.mkstemp(dir=self.path, prefix=".new-")
        with open(descriptor, "w") as file:
            json.dump(value, file, default=str)
        os.replace(new, self.path / name)
