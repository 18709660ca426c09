"""The process that makes the actor of a job, or has it end: `start FOLDER ADDRESS` or `stop FOLDER ADDRESS`."""

from __future__ import annotations

import sys
import time
from pathlib import Path

import ray_async as ray
from ray_async.dashboard.jobs.description import NAMESPACE, JobStatus, actor_name
from ray_async.dashboard.jobs.entrypoint import Entrypoint
from ray_async.dashboard.jobs.job_folder import JobFolder

_ENDING_S = 10.0


def _main(word: str, path: str, address: str) -> None:
    folder = JobFolder(Path(path))
    try:
        if word == "start":
            _start(folder, address)
        else:
            _stop(folder, address)
    except Exception as error:
        # Whatever it is, the job has it as its message.
        message = f"The job could not be started: {type(error).__name__}: {error}"
        folder.set_state(JobStatus.FAILED, message, end_time=time.time_ns() // 1_000_000)
        raise


def _start(folder: JobFolder, address: str) -> None:
    submission = folder.submission()
    # The environment is the job's, and not the actor's: folders of this machine are then packed and kept with it.
    ray.init(address, namespace=NAMESPACE, runtime_env=submission.runtime_env or None, log_to_driver=False)
    actor = ray.remote(Entrypoint).options(
        name=actor_name(submission.submission_id), lifetime="detached", max_concurrency=8, **submission.resources
    )
    actor.remote(str(folder.path), address)


def _stop(folder: JobFolder, address: str) -> None:
    ray.init(address, namespace=NAMESPACE, log_to_driver=False)
    try:
        actor = ray.get_actor(actor_name(folder.submission().submission_id))
    except ValueError:  # it has ended, or not begun
        return
    if folder.state().get("status") == JobStatus.RUNNING and ray.wait([actor.stop.remote()], timeout=_ENDING_S)[0]:
        return
    ray.kill(actor)  # it waits for resources, has just begun, or stands still


if __name__ == "__main__":
    _main(*sys.argv[1:])
