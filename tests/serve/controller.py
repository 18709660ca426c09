"""The controller's process, which tests kill and stop."""

import os
import signal
from typing import Any

from ray_async import serve
from ray_async.util import state
from tests.serve.waiting import wait_until

__all__ = ("controller_pid", "kill_controller", "replica_pids", "replica_states")


def controller_pid() -> int:
    """The process of the controller that works; 0 while there is none."""
    rows = state.list_actors(filters=[("name", "=", "SERVE_CONTROLLER_ACTOR"), ("state", "=", "ALIVE")])
    return rows[0].pid if rows else 0


def kill_controller() -> None:
    """Kill the controller, and wait for the next one."""
    pid = controller_pid()
    os.kill(pid, signal.SIGKILL)
    wait_until(lambda: controller_pid() not in (0, pid))


def replica_pids(deployment: str = "") -> dict[str, int]:
    """The processes of replicas, by the names of their actors; of one deployment, or of all."""
    rows = state.list_actors(filters=[("state", "=", "ALIVE")])
    return {
        row.name: row.pid
        for row in rows
        if row.name.startswith("SERVE_REPLICA::") and (not deployment or row.name.split("#")[1] == deployment)
    }


def replica_states(app: str = "default") -> dict[str, Any]:
    """How many replicas of each deployment are in which state."""
    deployments = serve.status().applications[app].deployments
    return {name: one.replica_states for name, one in deployments.items()}
