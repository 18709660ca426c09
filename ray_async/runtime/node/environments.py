"""Pools of workers by environment: which job and which runtime environment a key stands for."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ray_async.spec.class_description import ClassDescription, Environment

if TYPE_CHECKING:
    from ray_async.runtime.messages.job_description import JobDescription
    from ray_async.spec.actor_description import ActorDescription

__all__ = ("Environments",)


class Environments:
    """Remembers what each environment key means.

    A key is ``<job number>:<hash of the runtime environment>``; the hash is empty for the job's plain workers.
    """

    def __init__(self) -> None:
        self._jobs: dict[int, JobDescription] = {}
        self._environments: dict[str, Environment] = {}
        self._users: dict[str, int] = {}  # classes and actors

    def __len__(self) -> int:
        """How many runtime environments there are, jobs' plain ones not counted."""
        return len(self._environments)

    def add_job(self, job: JobDescription) -> None:
        """A driver's job: its number, path, directory and namespace."""
        self._jobs[job["id"]] = job

    def learn(self, description: ClassDescription | ActorDescription) -> None:
        """Note the environment in a class's or actor's description; each that is learned is to be released."""
        if description.runtime_env:
            key = description.env_key
            self._environments[key] = description.runtime_env
            self._users[key] = self._users.get(key, 0) + 1

    def release(self, description: ClassDescription | ActorDescription) -> None:
        """A class or actor is over; its environment is forgotten with the last one that has it."""
        if description.runtime_env:
            key = description.env_key
            self._users[key] = self._users.get(key, 0) - 1
            if self._users[key] <= 0:
                del self._users[key]
                self._environments.pop(key, None)

    def job_of(self, env_key: str) -> JobDescription | None:
        """The job that a key belongs to; None when it has ended."""
        number, _, _ = env_key.partition(":")
        return self._jobs.get(int(number)) if number.isdigit() else None

    def environment(self, env_key: str) -> Environment:
        """The runtime environment of a key; empty for plain workers."""
        return self._environments.get(env_key, {})

    def end_job(self, number: int) -> None:
        """Forget a job; its environments go with its classes and actors."""
        self._jobs.pop(number, None)
