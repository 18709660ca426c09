"""Starting the processes of a cluster beside a node: its agent, and on the head's machine the head."""

from __future__ import annotations

import contextlib
import json
import os
import select
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from ray_async.cluster.security import create_credentials, load_credentials
from ray_async.runtime.start.node_control import COMPANION, NodeEntry, runtime_root

__all__ = ("ClusterStartError", "check_credentials", "credentials_path", "start_agent", "start_head")

_START_S = 60


class ClusterStartError(ConnectionError):
    """A process of the cluster did not get ready; the message says why."""


def credentials_path(given: str | None) -> Path:
    """The file of a cluster's credentials: the one that is named, or this user's."""
    return Path(given) if given else runtime_root() / "cluster.json"


def check_credentials(path: Path) -> None:
    """Refuse a file that cannot be used, before anything is started.

    Raises:
        FileNotFoundError, PermissionError, ValueError: why it cannot.
    """
    load_credentials(path)


def start_head(entry: NodeEntry, host: str, port: int, credentials: Path) -> str:
    """Start the head of a cluster beside a node; returns its address as ``host:port``.

    Raises:
        ClusterStartError: it did not get ready.
    """
    if not credentials.exists():
        create_credentials(credentials)
    load_credentials(credentials)  # one that cannot be used is told of here
    config = {
        "host": host,
        "port": port,
        "credentials": str(credentials),
        "folder": entry.session_dir,
        "node_pid": entry.pid,
    }
    return str(_start("ray_async.cluster.head", entry, "head.log", config)["address"])


def start_agent(entry: NodeEntry, head: str, host: str, credentials: Path, port: int = 0, is_head: bool = False) -> str:
    """Start the agent of a node, which joins it to the cluster; returns the address where it listens.

    Args:
        entry: the node.
        head: ``host:port`` of the head.
        host: the address of this machine that others reach it by.
        credentials: the file of the cluster's credentials.
        port: to listen at; 0 for any.
        is_head: whether the head is on the node's machine.

    Raises:
        ClusterStartError: it did not join.
    """
    load_credentials(credentials)
    config = {
        "head": head,
        "host": host,
        "port": port,
        "credentials": str(credentials),
        "session_dir": entry.session_dir,
        "is_head": is_head,
    }
    return str(_start("ray_async.cluster.agent", entry, "agent.log", config)["address"])


def _start(module: str, entry: NodeEntry, log: str, config: dict[str, Any]) -> dict[str, Any]:
    path = os.path.join(entry.session_dir, log)
    process = subprocess.Popen(
        [sys.executable, "-m", module], stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True
    )
    assert process.stdin is not None and process.stdout is not None
    with process.stdin, process.stdout as output:
        process.stdin.write(json.dumps({**config, "log": path}).encode())
        process.stdin.close()
        line = _read_line(output.fileno(), time.monotonic() + _START_S)
    said = json.loads(line) if line else {"error": _last_words(module, path)}
    if "error" in said:
        process.kill()
        process.wait()
        raise ClusterStartError(said["error"])
    with open(os.path.join(entry.session_dir, f"{process.pid}{COMPANION}"), "w"):
        pass  # so that `ray_async stop` waits for its end
    process.returncode = 0  # it goes on without its parent: keep Popen's finalizer from warning about it
    return dict(said)


def _last_words(module: str, path: str) -> str:
    with contextlib.suppress(OSError), open(path, "rb") as log:
        words = log.read()[-2000:].decode("utf-8", "replace").strip()
        if words:
            return f"{module} ended before it was ready. Its last words:\n{words}"
    return f"{module} ended before it was ready, without a word"


def _read_line(descriptor: int, deadline: float) -> bytes:
    line = b""
    while not line.endswith(b"\n"):
        if not select.select([descriptor], [], [], max(0.0, deadline - time.monotonic()))[0]:
            return b""
        data = os.read(descriptor, 65536)
        if not data:
            return line
        line += data
    return line
