"""The actor that runs a job's command: detached, so that it needs neither the dashboard nor who has submitted it."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import sys
import time
from pathlib import Path
from typing import Any

import ray_async as ray
from ray_async.actor import exit_actor
from ray_async.dashboard.jobs.description import NAMESPACE, JobStatus, actor_name
from ray_async.dashboard.jobs.job_folder import JobFolder

__all__ = ("Entrypoint",)

_GRACE_S = 3.0  # between being asked to end and being killed
#: What a worker knows of itself; a program that the command starts is a driver of its own.
_OF_WORKER = ("RAY_ASYNC_SESSION", "RAY_ASYNC_WORKER")


class Entrypoint:
    """Runs the command of a job, and ends with it.

    Args:
        folder: the job's.
        address: of the node, for programs that the command starts.
    """

    def __init__(self, folder: str, address: str) -> None:
        self._folder = JobFolder(Path(folder))
        self._address = address
        self._process: asyncio.subprocess.Process | None = None
        # Called by this actor itself, the call outlives the process that has made the actor.
        name = actor_name(self._folder.submission().submission_id)
        ray.get_actor(name, NAMESPACE).run.remote()

    async def run(self) -> None:
        """Run the command; the actor ends with it."""
        try:
            await self._run()
        except OSError as error:
            self._end(JobStatus.FAILED, f"The command could not be started: {error}")
        exit_actor()

    async def _run(self) -> None:
        folder = self._folder
        if folder.is_to_stop():
            self._end(JobStatus.STOPPED, "The job was stopped before it began.")
            return
        with folder.log.open("ab") as log:
            self._process = process = await asyncio.create_subprocess_shell(
                folder.submission().entrypoint,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=self._environment(),
                start_new_session=True,
            )
        folder.set_state(
            JobStatus.RUNNING,
            "The command runs.",
            start_time=time.time_ns() // 1_000_000,
            pid=process.pid,
            node_ip=ray.util.get_node_ip_address(),
        )
        if folder.is_to_stop():
            await self.stop()
        status = await process.wait()
        self._signal(signal.SIGKILL)  # nothing that it has started goes on without it
        if folder.is_to_stop():
            self._end(JobStatus.STOPPED, "The job was stopped.", status)
        elif status == 0:
            self._end(JobStatus.SUCCEEDED, "The command has ended with status 0.", status)
        else:
            how = f"with status {status}" if status > 0 else f"by {signal.Signals(-status).name}"
            self._end(JobStatus.FAILED, f"The command has ended {how}. Its last lines:\n{self._last_lines()}", status)

    async def stop(self) -> None:
        """End the command: ask it, and kill it where it goes on."""
        process = self._process
        if process is None or process.returncode is not None:
            return
        self._signal(signal.SIGTERM)
        try:
            await asyncio.wait_for(asyncio.shield(process.wait()), _GRACE_S)
        except TimeoutError:
            self._signal(signal.SIGKILL)

    def _signal(self, number: signal.Signals) -> None:
        if self._process is not None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._process.pid, number)

    def _environment(self) -> dict[str, str]:
        submission = self._folder.submission()
        config: dict[str, Any] = {"metadata": submission.metadata}
        runtime_env = dict(ray.get_runtime_context().runtime_env)
        if runtime_env:
            config["runtime_env"] = runtime_env
        environment = {name: value for name, value in os.environ.items() if name not in _OF_WORKER}
        return environment | {
            "RAY_ADDRESS": self._address,
            "RAY_JOB_CONFIG_JSON_ENV_VAR": json.dumps(config, default=str),
            "PYTHONUNBUFFERED": "1",  # what is printed is to be seen at once
            # `python` is the node's, unless the environment has brought another.
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{environment.get('PATH', os.defpath)}",
        }

    def _end(self, status: JobStatus, message: str, exit_code: int | None = None) -> None:
        self._folder.set_state(status, message, end_time=time.time_ns() // 1_000_000, driver_exit_code=exit_code)

    def _last_lines(self) -> str:
        with self._folder.log.open("rb") as log:
            log.seek(max(0, log.seek(0, os.SEEK_END) - 2000))
            return "\n".join(log.read().decode(errors="replace").splitlines()[-10:])
