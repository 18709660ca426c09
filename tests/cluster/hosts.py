"""Clusters for tests: nodes with their agents, all on loopback, and a head."""

import os
import signal
import subprocess
import sys
from functools import partial
from pathlib import Path
from typing import Any

from ray_async.cluster import launch
from ray_async.engine.registry import get_engine
from ray_async.engine.state import StateKind
from ray_async.runtime.start import node_control
from ray_async.runtime.start.node_control import NodeEntry
from tests.resources import wait_until

LOOPBACK = "127.0.0.1"


class Hosts:
    """A cluster whose head has a node with one CPU."""

    def __init__(self, credentials: Path) -> None:
        self.credentials = credentials
        self.nodes: list[NodeEntry] = []
        try:
            entry = self._node({"num_cpus": 1})
            self.head = launch.start_head(entry, LOOPBACK, 0, credentials)
            self._join(entry, is_head=True)
        except BaseException:
            self.stop()  # else later tests would attach to it
            raise

    @property
    def first(self) -> NodeEntry:
        """The node beside the head."""
        return self.nodes[0]

    def add(self, **settings: Any) -> NodeEntry:
        """Have another node join."""
        entry = self._node(settings)
        self._join(entry)
        return entry

    def _node(self, settings: dict[str, Any]) -> NodeEntry:
        number = len(self.nodes) + 1
        config = {"address": f"{LOOPBACK}:{number}", "head": True, "object_store_memory": 200 << 20, **settings}
        entry = node_control.start_head(config)
        self.nodes.append(entry)
        return entry

    def _join(self, entry: NodeEntry, is_head: bool = False) -> None:
        launch.start_agent(entry, self.head, LOOPBACK, self.credentials, is_head=is_head)

    def id_of(self, entry: NodeEntry) -> str:
        """A node's id."""
        rows = get_engine().state_at(entry.session_dir).rows(StateKind.NODES)
        return str(rows[0]["NodeID"])

    def rows(self, entry: NodeEntry, kind: StateKind) -> list[dict[str, Any]]:
        """What there is on a node."""
        return get_engine().state_at(entry.session_dir).rows(kind)

    def run(self, entry: NodeEntry, program: str, namespace: str = "shared") -> str:
        """Run a program that is attached to a node, to its end; returns what it prints."""
        text = f"import ray_async as ray\nray.init(address={entry.session_dir!r}, namespace={namespace!r})\n{program}"
        ran = subprocess.run([sys.executable, "-c", text], capture_output=True, text=True, timeout=100, check=False)
        assert ran.returncode == 0, ran.stderr
        return ran.stdout.strip()

    def companions(self, entry: NodeEntry) -> list[int]:
        """The agent beside a node, and the head."""
        return sorted(int(path.name.partition(".")[0]) for path in Path(entry.session_dir).glob("*.companion"))

    def agent(self, entry: NodeEntry) -> int:
        """Pid of a node's agent."""
        return next(pid for pid in self.companions(entry) if "cluster.agent" in _command(pid))

    def agent_or_none(self, entry: NodeEntry) -> int:
        """The same; -1 when it has ended."""
        return next((pid for pid in self.companions(entry) if "cluster.agent" in _command(pid)), -1)

    def head_pid(self) -> int:
        """Pid of the head."""
        return next(pid for pid in self.companions(self.first) if "cluster.head" in _command(pid))

    def kill(self, entry: NodeEntry) -> None:
        """End a node process as a crash would."""
        companions = self.companions(entry)
        os.kill(entry.pid, signal.SIGKILL)
        for pid in (entry.pid, *companions):
            wait_until(partial(_is_gone, pid))

    def stop(self) -> None:
        """End all nodes; what belongs to them ends with them."""
        for entry in reversed(self.nodes):
            node_control.stop_nodes(only=entry)
        node_control.find_nodes()  # removes what killed ones have left


def _is_gone(pid: int) -> bool:
    return node_control.process_start_time(pid) is None


def _command(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode()
    except (FileNotFoundError, ProcessLookupError):
        return ""


def meet(folder: str, name: str, count: int) -> bool:
    """Wait, in a task, until so many tasks are there at the same time; False when they do not come."""
    import time

    (Path(folder) / name).touch()
    deadline = time.monotonic() + 60
    while len(list(Path(folder).iterdir())) < count:
        if time.monotonic() > deadline:
            return False
        time.sleep(0.01)
    return True
