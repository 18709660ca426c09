"""Entry of the process that a driver starts: it becomes the zygote's parent and then the node.

The zygote is forked here, before there is an event loop or a thread, and both go on in parallel: while the node imports
asyncio, the zygote forks the first worker.
"""

from __future__ import annotations

import json
import os
import socket
import sys
from typing import Any

from ray_async._core.arena import Arena

__all__ = ("main",)


def main() -> None:
    """Read the configuration from standard input and become zygote and node."""
    config: dict[str, Any] = json.loads(sys.stdin.buffer.read())
    null = os.open(os.devnull, os.O_RDONLY)
    os.dup2(null, 0)
    os.close(null)
    arena = Arena.attach(config["arena_fd"], config["directory"])
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
    driver = config["control_fd"]
    parent = os.getpid()
    pid = os.fork()
    if pid == 0:
        ours.close()
        if driver >= 0:
            os.close(driver)
        from ray_async.runtime.zygote import Zygote

        Zygote(arena, theirs, config, parent).run()
        os._exit(0)
    theirs.close()
    from ray_async.runtime.node.process import run_node

    run_node(arena, ours, pid, config)
