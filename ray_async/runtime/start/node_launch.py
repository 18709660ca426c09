"""Starting the node's interpreter early: it starts while its driver still imports the runtime and works the rest out.

Half of the time from `init()` to the first result is the start of interpreters, so nothing is imported here that the
package has not imported already. What the node is to know, and the descriptors it is to have, follow over a socket,
which is its standard input.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ray_async.runtime.messages.session_description import NodeConfig

__all__ = ("MARKER", "NodeLaunch")

#: Environment variable that the node and all that it starts inherit; its value is the launch's own.
MARKER = "RAY_ASYNC_SESSION"
_BOOT = "from ray_async.runtime.start.node_entry import main; main()"


class NodeLaunch:
    """A node process that waits for its configuration. Its parent is this process.

    Attributes:
        pid: of the process.
        marker: value of the variable `MARKER` in its environment.
        returncode: exit status once it is known, negative for a signal; None before.
    """

    def __init__(self) -> None:
        import _socket

        self.marker = os.urandom(16).hex()
        self.returncode: int | None = None
        ours, theirs = _socket.socketpair(_socket.AF_UNIX, _socket.SOCK_STREAM)
        self._socket: int = ours.detach()
        stdin: int = theirs.detach()
        try:
            self.pid = _spawn(stdin, self._environ())
        finally:
            os.close(stdin)
        self._pidfd = os.pidfd_open(self.pid) if hasattr(os, "pidfd_open") else -1

    def _environ(self) -> dict[str, str]:
        """This process's variables, and where this package is found: a changed sys.path would hide it from the node."""
        package = os.path.abspath(os.path.join(os.path.dirname(__file__), *[os.pardir] * 3))
        path = os.environ.get("PYTHONPATH")
        search = os.pathsep.join([path, package] if path else [package])
        return {**os.environ, "PYTHONPATH": search, MARKER: self.marker}

    def configure(self, config: NodeConfig, descriptors: list[int]) -> None:
        """Send the process what it is to be; it may be dead already, which whoever waits for it finds.

        Args:
            config: ready for JSON.
            descriptors: the arena's memory, the control connection, the connection for output.
        """
        import json
        import socket

        with contextlib.suppress(BrokenPipeError, ConnectionResetError), socket.socket(fileno=self._socket) as channel:
            self._socket = -1
            socket.send_fds(channel, [b"c"], descriptors)
            channel.sendall(json.dumps(config).encode())

    def poll(self) -> int | None:
        """The exit status, or None while the process runs."""
        if self.returncode is None:
            try:
                pid, status = os.waitpid(self.pid, os.WNOHANG)
            except ChildProcessError:
                self.returncode = 255  # somebody else reaped it, and nobody knows how it ended
            else:
                if pid:
                    self.returncode = os.waitstatus_to_exitcode(status)
        return self.returncode

    def wait(self, timeout_s: float) -> int | None:
        """The exit status, or None when the process still runs after so long."""
        if self.poll() is None:
            if self._pidfd >= 0:
                waiting = select.poll()
                waiting.register(self._pidfd, select.POLLIN)
                waiting.poll(timeout_s * 1000)
            else:
                _wait_by_looking(self.poll, timeout_s)
        return self.poll()

    def end_early(self) -> None:
        """Have the process end at once, if it is not a node yet."""
        from ray_async.runtime.start.early_end import END_EARLY

        if self.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, END_EARLY)

    def kill(self) -> None:
        """End the process at once, and reap it."""
        if self.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, signal.SIGKILL)
            with contextlib.suppress(ChildProcessError):
                self.returncode = os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])
            self.poll()
        self.close()

    def close(self) -> None:
        """Give the descriptors back."""
        for descriptor in (self._socket, self._pidfd):
            if descriptor >= 0:
                os.close(descriptor)
        self._socket = self._pidfd = -1


def _spawn(stdin: int, environ: dict[str, str]) -> int:
    """Start an interpreter in a session of its own, which keeps Ctrl-C from it."""
    arguments = [sys.executable, "-P", "-c", _BOOT]
    actions = [(os.POSIX_SPAWN_DUP2, stdin, 0)]
    try:
        return os.posix_spawn(sys.executable, arguments, environ, file_actions=actions, setsid=True)
    except NotImplementedError:  # systems without that flag have at least process groups
        return os.posix_spawn(sys.executable, arguments, environ, file_actions=actions, setpgroup=0)


def _wait_by_looking(poll: Any, timeout_s: float) -> None:
    """Where there are no process descriptors: look from time to time."""
    import time

    deadline = time.monotonic() + timeout_s
    while poll() is None and time.monotonic() < deadline:
        time.sleep(0.005)
