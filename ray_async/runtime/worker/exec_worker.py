"""Workers with an interpreter of their own, for environments whose variables are read when a program is loaded.

The zygote forks as for every worker; the child then executes a new interpreter, which finds the session by the arena's
descriptor and its configuration in a sealed file of memory.
"""

from __future__ import annotations

import json
import os
import sys
from typing import TYPE_CHECKING, NoReturn

if TYPE_CHECKING:
    from ray_async.runtime.messages.session_description import WorkerConfig

__all__ = ("become_fresh", "main")

_ENTRY = "from ray_async.runtime.worker.exec_worker import main; main()"
_VARIABLE = "RAY_ASYNC_WORKER_CONFIG_FD"


def become_fresh(config: WorkerConfig) -> NoReturn:
    """Replace this process, forked from the zygote, by a new interpreter with the environment's variables.

    Args:
        config: the node's configuration with the request for this worker.
    """
    from ray_async.runtime_env.worker_setup import expand_variables

    environment = dict(config["runtime_env"])
    variables = expand_variables(environment.get("env_vars") or {}, os.environ)
    # They are final now: expanded once more in the new interpreter, `${PATH}:x` would grow.
    environment["env_vars"] = variables
    fd = os.memfd_create("ray_async_worker", 0)
    os.write(fd, json.dumps({**config, "runtime_env": environment}).encode())
    os.lseek(fd, 0, os.SEEK_SET)
    os.set_inheritable(config["arena_fd"], True)
    os.execve(
        sys.executable,
        [sys.executable, "-P", "-c", _ENTRY],
        {**os.environ, **variables, "PYTHONPATH": _python_path(variables), _VARIABLE: str(fd)},
    )


def _python_path(variables: dict[str, str]) -> str:
    """The path that is asked for, and after it this package's, without which the worker does not start."""
    package = os.path.dirname(os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))))
    given = variables.get("PYTHONPATH", os.environ.get("PYTHONPATH"))
    return os.pathsep.join([given, package] if given else [package])


def main() -> None:
    """Be a worker, in a new interpreter."""
    from ray_async._core.arena import Arena
    from ray_async.runtime.worker.worker import end_worker

    fd = int(os.environ.pop(_VARIABLE))
    with open(fd, "rb") as file:
        config: WorkerConfig = json.load(file)
    end_worker(Arena.attach(config["arena_fd"], config["directory"]), config)
