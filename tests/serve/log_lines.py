"""The log files of Serve's processes."""

import itertools
import json
from pathlib import Path
from typing import Any

import httpx

from ray_async.serve.names import folder
from tests.serve.waiting import wait_until

__all__ = ("json_lines", "log_lines", "wait_for_replicas")


def logs() -> Path:
    """The folder of log files."""
    return folder().parent / "logs" / "serve"


def log_lines(holding: str = "", place: Path | None = None) -> list[str]:
    """The lines of all files that hold a text."""
    return [
        line for path in (place or logs()).glob("*.log") for line in path.read_text().splitlines() if holding in line
    ]


def json_lines(holding: str = "", place: Path | None = None) -> list[dict[str, Any]]:
    """The lines that are JSON, decoded."""
    return [json.loads(line) for line in log_lines(holding, place) if line.startswith("{")]


_numbers = itertools.count()


def wait_for_replicas(http: httpx.Client, path: str) -> None:
    """Wait until replicas have the connections: just after a first deploy, the controller may have some still."""
    while True:
        request_id = f"early-{next(_numbers)}"
        httpx.get(f"{http.base_url}{path}", headers={"x-request-id": request_id}, timeout=60)
        wait_until(lambda request_id=request_id: log_lines(request_id))  # type: ignore[misc]
        if not any(request_id in path.read_text() for path in logs().glob("controller.log")):
            return
