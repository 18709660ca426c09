"""Jobs: programs that are submitted to a node."""

from __future__ import annotations

from ray_async.dashboard.jobs.description import DriverInfo, JobDetails, JobStatus, JobType
from ray_async.job_submission.client import JobSubmissionClient

__all__ = ("DriverInfo", "JobDetails", "JobInfo", "JobStatus", "JobSubmissionClient", "JobType")

JobInfo = JobDetails
