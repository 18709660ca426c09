"""A client of the server of jobs."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.parse import quote, urlsplit
from urllib.request import Request, urlopen

from ray_async.dashboard.jobs.description import JobDetails, JobStatus
from ray_async.dashboard.utils import find_dashboard
from ray_async.ignored_option import note_ignored

__all__ = ("JobSubmissionClient",)

_PATIENCE_S = 60.0
_PAUSE_S = 0.2  # between two looks at a log
_HTTP = ("http", "https")


class JobSubmissionClient:
    """Submits programs to a node, and looks after them.

    Args:
        address: The URL of the node's dashboard, or the address of a node of this machine; by default that of the
            variable ``RAY_API_SERVER_ADDRESS`` or ``RAY_ADDRESS``, or the node that was started last.
        create_cluster_if_needed: Noted, and without effect.
        cookies, headers: Of the requests. The token is found for nodes of this machine, and is else the variable
            ``RAY_AUTH_TOKEN``.
        metadata: For all jobs; a job's own goes before it.
        verify: Noted where it is another one: certificates are checked.

    Raises:
        ConnectionError: No node runs there, or it has no dashboard.

    Example:
        >>> client = JobSubmissionClient()
        >>> client.submit_job(entrypoint="python train.py")
        'raysubmit_...'
    """

    def __init__(
        self,
        address: str | None = None,
        create_cluster_if_needed: bool = False,
        cookies: Mapping[str, str] | None = None,
        metadata: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        verify: bool = True,
    ) -> None:
        if create_cluster_if_needed:
            note_ignored("JobSubmissionClient(create_cluster_if_needed=...)", "a client starts nothing")
        if verify is not True:
            note_ignored("JobSubmissionClient(verify=...)", "certificates are checked")
        address = address or os.environ.get("RAY_API_SERVER_ADDRESS") or os.environ.get("RAY_ADDRESS")
        token = os.environ.get("RAY_AUTH_TOKEN", "")
        if address is not None and urlsplit(address).scheme in _HTTP:
            self._address = address.rstrip("/")
        else:
            found = find_dashboard(address)
            self._address, token = found.url, found.token
        self._metadata = dict(metadata or {})
        self._headers = {"Content-Type": "application/json"}
        if token:
            self._headers["Authorization"] = f"Bearer {token}"
        if cookies:
            self._headers["Cookie"] = "; ".join(f"{name}={value}" for name, value in cookies.items())
        self._headers.update(headers or {})

    def get_address(self) -> str:
        """Give the server's URL."""
        return self._address

    def get_version(self) -> str:
        """Give the version of the server's API."""
        return str(self._fetch("GET", "/api/version")["version"])

    def submit_job(
        self,
        *,
        entrypoint: str,
        job_id: str | None = None,
        runtime_env: Mapping[str, Any] | None = None,
        metadata: Mapping[str, str] | None = None,
        submission_id: str | None = None,
        entrypoint_num_cpus: float | None = None,
        entrypoint_num_gpus: float | None = None,
        entrypoint_memory: int | None = None,
        entrypoint_resources: Mapping[str, float] | None = None,
        entrypoint_label_selector: Mapping[str, str] | None = None,
    ) -> str:
        """Submit a program.

        Args:
            entrypoint: A command for the shell. In it, ``RAY_ADDRESS`` names the node.
            job_id: The older name of ``submission_id``.
            runtime_env: The environment of the command, its tasks and actors. Folders in it are this machine's.
            metadata: Texts by name.
            submission_id: The job's id; ``raysubmit_`` and 16 letters by default.
            entrypoint_num_cpus, entrypoint_num_gpus, entrypoint_memory, entrypoint_resources: What the command itself
                takes, until it ends: nothing by default. Memory in bytes.
            entrypoint_label_selector: Labels of the node that it may run on.

        Returns:
            The job's id.

        Raises:
            RuntimeError: The server has refused it; the text says why. A second job of one id is refused.
            ConnectionError: The server does not answer.
        """
        given = {
            "entrypoint": entrypoint,
            "submission_id": submission_id or job_id,
            "runtime_env": _with_whole_paths(runtime_env or {}),
            "metadata": {**self._metadata, **(metadata or {})},
            "entrypoint_num_cpus": entrypoint_num_cpus,
            "entrypoint_num_gpus": entrypoint_num_gpus,
            "entrypoint_memory": entrypoint_memory,
            "entrypoint_resources": entrypoint_resources,
            "entrypoint_label_selector": entrypoint_label_selector,
        }
        wanted = {name: value for name, value in given.items() if value is not None}
        return str(self._fetch("POST", "/api/jobs/", wanted)["submission_id"])

    def list_jobs(self) -> list[JobDetails]:
        """List the jobs, the latest first; errors as in `submit_job`."""
        return [JobDetails.from_json(one) for one in self._fetch("GET", "/api/jobs/")]

    def get_job_info(self, job_id: str) -> JobDetails:
        """Describe a job; errors as in `submit_job`."""
        return JobDetails.from_json(self._fetch("GET", _path(job_id)))

    def get_job_status(self, job_id: str) -> JobStatus:
        """Say what has become of a job; errors as in `submit_job`."""
        return self.get_job_info(job_id).status

    def get_job_logs(self, job_id: str) -> str:
        """Give what a job has written; errors as in `submit_job`."""
        parts: list[str] = []
        end = 0
        while True:
            found = self._fetch("GET", f"{_path(job_id)}/logs?offset={end}")
            if not found["logs"]:
                return "".join(parts)
            parts.append(found["logs"])
            end = found["end"]

    async def tail_job_logs(self, job_id: str) -> AsyncIterator[str]:
        """Give what a job writes, as it comes, until it ends; errors as in `submit_job`."""
        end = 0
        while True:
            # Asked for first: what it has written before it ended is then all there.
            status = await asyncio.to_thread(self.get_job_status, job_id)
            found = await asyncio.to_thread(self._fetch, "GET", f"{_path(job_id)}/logs?offset={end}")
            if found["logs"]:
                yield found["logs"]
                end = found["end"]
            elif status.is_terminal():
                return
            else:
                await asyncio.sleep(_PAUSE_S)

    def stop_job(self, job_id: str) -> bool:
        """Have a job end; return whether it was still to. It may take seconds. Errors as in `submit_job`."""
        return bool(self._fetch("POST", f"{_path(job_id)}/stop", {})["stopped"])

    def delete_job(self, job_id: str) -> bool:
        """Forget a job that has ended, and its output; errors as in `submit_job`."""
        return bool(self._fetch("DELETE", _path(job_id))["deleted"])

    def _fetch(self, method: str, path: str, value: Any = None) -> Any:
        body = None if value is None else json.dumps(value).encode()
        request = Request(self._address + path, body, self._headers, method=method)
        try:
            with urlopen(request, timeout=_PATIENCE_S) as answer:
                return json.load(answer)
        except HTTPError as error:
            with error:
                raise RuntimeError(f"{error.read().decode(errors='replace').strip()} (status {error.code})") from None
        except URLError as error:
            raise ConnectionError(f"the server at {self._address} does not answer: {error.reason}") from error


def _path(job_id: str) -> str:
    return f"/api/jobs/{quote(job_id, safe='')}"


def _with_whole_paths(runtime_env: Mapping[str, Any]) -> dict[str, Any]:
    """The environment, with paths that mean the same in the server's folder."""
    found = dict(runtime_env)
    for name in ("working_dir", "pip"):
        value = found.get(name)
        if isinstance(value, str) and "://" not in value:
            found[name] = str(Path(value).absolute())
    modules = found.get("py_modules")
    if isinstance(modules, list):
        found["py_modules"] = [str(Path(one).absolute()) if "://" not in str(one) else one for one in modules]
    return found
