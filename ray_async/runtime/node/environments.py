"""Pools of workers by environment: which job and which runtime environment a key stands for."""

from __future__ import annotations

from typing import Any

__all__ = ("Environments",)


class Environments:
    """Remembers what each environment key means.

    A key is ``<job number>:<hash of the runtime environment>``; the hash is empty for the job's plain workers.
    """

    def __init__(self) -> None:
        self._jobs: dict[int, dict[str, Any]] = {}
        self._environments: dict[str, dict[str, Any]] = {}

    def add_job(self, job: dict[str, Any]) -> None:
        """A driver's job: its number, path, directory and namespace."""
        self._jobs[job["id"]] = job

    def learn(self, spec: dict[str, Any]) -> None:
        """Note the environment in a class's or actor's description."""
        if spec.get("runtime_env"):
            self._environments[spec["env_key"]] = spec["runtime_env"]

    def job_of(self, env_key: str) -> dict[str, Any] | None:
        """The job that a key belongs to; None when it has ended."""
        number, _, _ = env_key.partition(":")
        return self._jobs.get(int(number)) if number.isdigit() else None

    def environment(self, env_key: str) -> dict[str, Any]:
        """The runtime environment of a key; empty for plain workers."""
        return self._environments.get(env_key, {})

    def end_job(self, number: int) -> None:
        """Forget a job and its environments."""
        self._jobs.pop(number, None)
        for key in [key for key in self._environments if key.startswith(f"{number}:")]:
            del self._environments[key]
