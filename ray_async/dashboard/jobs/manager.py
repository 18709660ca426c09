"""The manager of jobs: it takes, lists, stops and forgets them. All that it knows is in their folders."""

from __future__ import annotations

import asyncio
import secrets
import string
import sys
import time
from pathlib import Path
from typing import Any

from ray_async.dashboard.jobs.description import NAMESPACE, JobDetails, JobStatus, Submission, actor_name
from ray_async.dashboard.jobs.job_folder import JobFolder
from ray_async.dashboard.node_questions import NodeQuestions

__all__ = ("JobManager", "NoSuchJobError")

_LETTERS = string.ascii_letters + string.digits


class NoSuchJobError(LookupError):
    """There is no job of a name."""


class JobManager:
    """Looks after the jobs of a node.

    Args:
        session_dir: the node's folder.
        questions: asks the node.
    """

    def __init__(self, session_dir: str, questions: NodeQuestions) -> None:
        self._path = Path(session_dir, "jobs")
        self._log = Path(session_dir, "dashboard.log")
        self._questions = questions
        self._starting: set[asyncio.Task[None]] = set()

    async def submit(self, given: Any) -> str:
        """Take a job, and return its name.

        Raises:
            SubmissionError: it is none.
            FileExistsError: there is one of that name.
        """
        name = f"raysubmit_{''.join(secrets.choice(_LETTERS) for _ in range(16))}"
        submission = Submission.from_json(given, name)
        folder = JobFolder.make(self._path, submission)
        started = asyncio.ensure_future(self._process("start", folder))
        self._starting.add(started)
        started.add_done_callback(self._starting.discard)
        return submission.submission_id

    async def list(self) -> list[JobDetails]:
        """The jobs, the latest first."""
        if not self._path.is_dir():
            return []
        folders = [JobFolder(path) for path in self._path.iterdir() if (path / "job.json").exists()]
        folders.sort(key=JobFolder.submitted, reverse=True)
        return [await self._seen(folder) for folder in folders]

    async def get(self, name: str) -> JobDetails:
        """One job.

        Raises:
            NoSuchJobError: there is none of that name.
        """
        return await self._seen(self._folder(name))

    def log(self, name: str) -> Path:
        """The file of a job's output; NoSuchJobError as `get`."""
        return self._folder(name).log

    async def stop(self, name: str) -> bool:
        """Have a job end; return whether it was still to. NoSuchJobError as `get`."""
        folder = self._folder(name)
        if (await self._seen(folder)).status.is_terminal():
            return False
        folder.want_stop()
        await asyncio.gather(*self._starting)  # what has not begun to start cannot be stopped
        await self._process("stop", folder)
        return True

    async def delete(self, name: str) -> None:
        """Forget a job that has ended, and its output.

        Raises:
            NoSuchJobError: there is none of that name.
            RuntimeError: it has not ended.
        """
        folder = self._folder(name)
        status = (await self._seen(folder)).status
        if not status.is_terminal():
            raise RuntimeError(f"the job {name!r} is {status}: stop it first")
        await self._questions.in_thread(folder.delete)

    def _folder(self, name: str) -> JobFolder:
        # Among those that there are: a name that leads elsewhere is none of them.
        if not self._path.is_dir() or name not in {path.name for path in self._path.iterdir()}:
            raise NoSuchJobError(name)
        return JobFolder(self._path / name)

    async def _seen(self, folder: JobFolder) -> JobDetails:
        """The job; one whose actor has died without a word has failed, or was stopped."""
        found = folder.details()
        if found.status.is_terminal():
            return found
        filters = [("name", "=", actor_name(found.submission_id)), ("ray_namespace", "=", NAMESPACE)]
        rows = await self._questions.rows("actors", filters)
        # It says how it ends before it does: what was read before it was seen dead may be older.
        if rows and all(row["state"] == "DEAD" for row in rows) and not folder.details().status.is_terminal():
            now = time.time_ns() // 1_000_000
            if folder.is_to_stop():
                folder.set_state(JobStatus.STOPPED, "The job was stopped.", end_time=now)
            else:
                cause = rows[0]["death_cause"] or "its actor has ended"
                folder.set_state(JobStatus.FAILED, f"The job's process was lost: {cause}", end_time=now)
        return folder.details()

    async def _process(self, word: str, folder: JobFolder) -> None:
        with self._log.open("ab") as log:
            process = await asyncio.create_subprocess_exec(
                sys.executable,
                "-m",
                "ray_async.dashboard.jobs",
                word,
                str(folder.path),
                self._questions.address,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        status = await process.wait()
        if status and word == "start":  # it says why itself, where it can
            message = f"The job could not be started (exit status {status}): see dashboard.log"
            folder.set_state(JobStatus.FAILED, message, end_time=time.time_ns() // 1_000_000)
