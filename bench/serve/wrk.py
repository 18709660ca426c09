"""The load: wrk (Debian's package of that name), and what it reports."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

__all__ = ("Load", "LoadError", "Process", "find_wrk", "parse")

SCRIPT = Path(__file__).with_name("report.lua")
MARK = "REPORT "
_SLACK_S = 30.0


class LoadError(Exception):
    """The load could not be sent, or not one request was answered."""


@dataclass(frozen=True)
class Load:
    """What is sent to a server.

    Args:
        connections: Open connections, each with one request at a time.
        seconds: For how long; whole seconds.
        body: What is sent by POST, as JSON; empty: GET.
        path: The path.
    """

    connections: int
    seconds: int
    body: str = ""
    path: str = "/"


def find_wrk() -> str | None:
    """The path of wrk; None where it is not installed."""
    return shutil.which("wrk")


class Process:
    """One running wrk, with one thread: the other cores are the server's.

    Args:
        port: The server's port on this machine.
        load: What it is sent.

    Raises:
        LoadError: wrk is not installed.
    """

    def __init__(self, port: int, load: Load) -> None:
        program = find_wrk()
        if program is None:
            raise LoadError("wrk is not installed: apt-get install wrk")
        self._load = load
        url = f"http://127.0.0.1:{port}{load.path}"
        size = ["-t1", f"-c{load.connections}", f"-d{load.seconds}s", "--timeout", "10s"]
        command = [program, *size, "-s", str(SCRIPT), url, "--", load.body]
        self._process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)

    def result(self) -> dict[str, float]:
        """Wait for its end; gives the metrics that `parse` knows."""
        try:
            output, _ = self._process.communicate(timeout=self._load.seconds + _SLACK_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            output, _ = self._process.communicate()
        return parse(output)


def parse(output: str) -> dict[str, float]:
    """The metrics of a run: seconds for each request, percentiles of the latency in seconds, requests, failures.

    Raises:
        LoadError: There is no report, or nothing was answered.

    Example: `parse(output)["p50"]`.
    """
    line = next((line for line in output.splitlines() if line.startswith(MARK)), None)
    if line is None:
        raise LoadError(f"wrk gave no report:\n{output[-1000:]}")
    report: Mapping[str, float] = json.loads(line.removeprefix(MARK))
    if not report["requests"]:
        raise LoadError(f"not one request was answered:\n{output[-1000:]}")
    failed = sum(report[kind] for kind in ("connect", "read", "write", "status", "timeout"))
    percentiles = {name: report[name] / 1e6 for name in ("p50", "p75", "p90", "p95", "p99", "p999")}
    return {
        "wall": report["duration"] / 1e6 / report["requests"],
        "requests": report["requests"],
        "failed": failed,
        **percentiles,
    }
