"""Starting the dashboard of a node, and finding the one there is. Nothing of its libraries is imported here."""

from __future__ import annotations

import fcntl
import json
import os
import select
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

__all__ = ("FILE", "LOCK", "Dashboard", "DashboardError", "dashboard_at", "start_dashboard")

_START_S = 30.0
_PATIENCE_S = 10.0
# In the session's folder, which its owner alone can enter.
FILE = "dashboard.json"
LOCK = "dashboard.lock"  # held while it runs


class DashboardError(RuntimeError):
    """The dashboard did not start, or does not answer; the message says why."""


class Dashboard(NamedTuple):
    """A dashboard that runs.

    Attributes:
        url: Where it is.
        token: What its API asks for.
        pid: Its process.
    """

    url: str
    token: str
    pid: int

    def link(self) -> str:
        """Make a link for a browser, which is good once.

        Raises:
            DashboardError: it does not answer.
        """
        from urllib.request import Request, urlopen  # much, for those who have no dashboard

        request = Request(f"{self.url}/api/link", b"", {"Authorization": f"Bearer {self.token}"}, method="POST")
        try:
            with urlopen(request, timeout=_PATIENCE_S) as answer:
                return f"{self.url}/?code={json.load(answer)['code']}"
        except OSError as error:
            raise DashboardError(f"the dashboard at {self.url} does not answer: {error}") from error


def start_dashboard(
    address: str,
    session_dir: str,
    host: str = "127.0.0.1",
    port: int | None = None,
    names: Sequence[str] = (),
) -> Dashboard:
    """Start the dashboard of a node; it ends with the node.

    Args:
        address: the node's.
        session_dir: its folder.
        host: where to listen: loopback, unless others are to reach it.
        port: the port; None takes the first that is free from 8265 on, 0 any.
        names: what else browsers may call the machine.

    Raises:
        DashboardError: its libraries are missing, or the port is taken.
    """
    config = {
        "address": address,
        "session_dir": session_dir,
        "host": host,
        "port": port,
        "names": list(names),
    }
    with open(Path(session_dir, "dashboard.log"), "ab") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "ray_async.dashboard"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
            start_new_session=True,
        )
    try:
        reply = _first_words(process, config)
    except BaseException:
        process.kill()
        process.wait()
        raise
    process.wait()  # it has left the work to a process of its own
    if "error" in reply:
        raise DashboardError(reply["error"])
    return Dashboard(reply["url"], reply["token"], reply["pid"])


def _first_words(process: subprocess.Popen[bytes], config: dict[str, Any]) -> dict[str, Any]:
    assert process.stdin is not None and process.stdout is not None
    with process.stdin as words:
        words.write(json.dumps(config).encode())
    with process.stdout as answer:
        if not select.select([answer], [], [], _START_S)[0]:
            raise DashboardError(f"the dashboard was not ready within {_START_S:g} s")
        line = answer.readline()
    if not line:
        raise DashboardError(f"the dashboard did not start (exit status {process.wait()}): see its log, dashboard.log")
    reply: dict[str, Any] = json.loads(line)
    return reply


def dashboard_at(session_dir: str) -> Dashboard | None:
    """The dashboard of the node whose folder that is; None where none runs."""
    try:
        lock = os.open(Path(session_dir, LOCK), os.O_RDWR | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    try:
        fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
        return None
    except BlockingIOError:
        try:
            found = json.loads(Path(session_dir, FILE).read_text())
        except FileNotFoundError:  # it is about to begin
            return None
        return Dashboard(found["url"], found["token"], found["pid"])
    finally:
        os.close(lock)
