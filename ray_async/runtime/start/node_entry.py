"""Entry of the process that a driver starts: it becomes the zygote's parent and then the node.

The zygote is forked here, before there is an event loop or a thread, and both go on in parallel: while the node imports
asyncio, the zygote forks the first worker.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING

from ray_async._core.arena import Arena
from ray_async._core.os_process import set_subreaper
from ray_async.runtime.start.early_end import allow_early_end, forget_early_end
from ray_async.runtime.start.standard_descriptors import fill_standard_descriptors

if TYPE_CHECKING:
    from ray_async.runtime.messages.session_description import NodeConfig

__all__ = ("become_node", "main", "redirect_output", "restore_signals", "start_zygote", "zygote_main")


def main() -> None:
    """Read the configuration from the socket that is standard input, and become zygote and node.

    Until it has come, what goes wrong here is written to the driver's standard error.
    """
    fill_standard_descriptors()
    with socket.socket(fileno=os.dup(0)) as channel:
        _, descriptors, _, _ = socket.recv_fds(channel, 1, 3)
        if len(descriptors) != 3:
            return  # the driver has thought better of it, or is gone
        with channel.makefile("rb") as stream:
            config: NodeConfig = json.loads(stream.read())
    config["arena_fd"], config["control_fd"], config["listen_fd"] = descriptors
    redirect_output(os.path.join(config["session_dir"], "node.log"))
    arena = Arena.attach(config["arena_fd"], config["directory"])
    become_node(arena, config, close_in_zygote=(config["control_fd"], config["listen_fd"]))


def redirect_output(path: str) -> None:
    """Send what this process and its children print to a file, so that they do not hold the starter's terminal."""
    log = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    null = os.open(os.devnull, os.O_RDONLY)
    for source, target in ((null, 0), (log, 1), (log, 2)):
        os.dup2(source, target)
    os.close(log)
    os.close(null)


def become_node(
    arena: Arena,
    config: NodeConfig,
    *,
    on_ready: Callable[[], None] | None = None,
    close_in_zygote: tuple[int, ...] = (),
) -> None:
    """Fork the zygote, then be the node until the session ends.

    Args:
        arena: the session's shared memory.
        config: the node's configuration.
        on_ready: called once processes can connect.
        close_in_zygote: descriptors that only the node is to have.
    """
    restore_signals()
    # Descendants whose parents die come to us, so that none outlives the session.
    set_subreaper()
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
    parent = os.getpid()
    allow_early_end(ours, len(config.get("prestart", ())))
    pid = os.fork()
    if pid == 0:
        forget_early_end()
        ours.close()
        for descriptor in close_in_zygote:
            os.close(descriptor)
        from ray_async.runtime.start.zygote import Zygote

        Zygote(arena, theirs, config, parent).run()
        os._exit(0)
    theirs.close()
    from ray_async.runtime.node.node import run_node

    run_node(arena, ours, pid, config, on_ready)


def restore_signals() -> None:
    """Take back what the starter's signals are set to: SIGINT cancels what workers run, and SIGCHLD announces deaths.

    A shell starts background jobs with SIGINT ignored, some supervisors ignore SIGCHLD, and a thread may block what it
    likes; all of that is inherited.
    """
    signal.pthread_sigmask(signal.SIG_SETMASK, ())
    signal.signal(signal.SIGINT, signal.default_int_handler)
    for number in (signal.SIGTERM, signal.SIGCHLD):
        signal.signal(number, signal.SIG_DFL)


def start_zygote(arena: Arena, config: NodeConfig) -> tuple[socket.socket, int]:
    """Start a zygote in place of one that has died, by exec, since the node has a loop and threads by now.

    Args:
        arena: the session's shared memory.
        config: the node's configuration.

    Returns:
        The node's end of the socket to it, and its pid.
    """
    import subprocess

    from ray_async.runtime.start.zygote import ENTRY

    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
    with theirs:
        process = subprocess.Popen(
            [sys.executable, "-c", ENTRY],
            stdin=subprocess.PIPE,
            pass_fds=(arena.fd, theirs.fileno()),
        )
        assert process.stdin is not None
        descriptors = {"arena_fd": arena.fd, "zygote_fd": theirs.fileno()}
        with contextlib.suppress(BrokenPipeError), process.stdin:
            process.stdin.write(json.dumps({**config, **descriptors, "prestart": [], "node_pid": os.getpid()}).encode())
    # The node reaps it by its pid; the object must not do so first, or complain that nobody has.
    process.returncode = 0
    return ours, process.pid


def zygote_main() -> None:
    """Read the configuration from standard input and be a zygote."""
    config: NodeConfig = json.loads(sys.stdin.buffer.read())
    null = os.open(os.devnull, os.O_RDONLY)
    os.dup2(null, 0)
    os.close(null)
    restore_signals()
    from ray_async.runtime.start.zygote import Zygote

    os.set_inheritable(config["arena_fd"], False)
    sock = socket.socket(fileno=config["zygote_fd"])
    sock.set_inheritable(False)
    Zygote(Arena.attach(config["arena_fd"], config["directory"]), sock, config, config["node_pid"]).run()
