"""A server process of a driver: started on a free port, spoken to once it listens, ended with the driver."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from bench.drivers import protocol

__all__ = ("Servers", "free_port", "wait_for_port")

DEADLINE_S = 60.0
Command = Callable[[int, int], list[str]]


class Servers:
    """One server at a time, each for one case.

    Args:
        command: makes the command line of a case from a port and a number of processes.
    """

    def __init__(self, commands: Mapping[str, Command]) -> None:
        self._commands = commands
        self._running: tuple[str, int] | None = None
        self._process: subprocess.Popen[bytes] | None = None

    def cases(self) -> dict[str, protocol.Case]:
        """The cases: each gives the port of its server."""
        return {name: self._case(name) for name in self._commands}

    def _case(self, name: str) -> protocol.Case:
        def port(params: Mapping[str, Any]) -> Mapping[str, float]:
            if self._running is None or self._running[0] != name:
                self.close()
                free = free_port()
                command = self._commands[name](free, int(params.get("replicas", 1)))
                self._process = subprocess.Popen(command, start_new_session=True)
                wait_for_port(free, self._process)
                self._running = name, free
            return {"port": self._running[1]}

        return port

    def close(self) -> None:
        """End the server."""
        process, self._process, self._running = self._process, None, None
        if process is not None:
            _signal(process.pid, signal.SIGTERM)
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(10)
            _signal(process.pid, signal.SIGKILL)
            process.wait()


def _signal(group: int, number: int) -> None:
    """Send a signal to a server and all its processes, if any are left."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(group, number)


def free_port() -> int:
    """A port of this machine that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_for_port(port: int, process: subprocess.Popen[bytes] | None = None) -> None:
    """Wait until somebody listens.

    Raises:
        RuntimeError: the process has ended.
        TimeoutError: nobody does within a minute.
    """
    for _ in _until(DEADLINE_S):
        if process is not None and process.poll() is not None:
            raise RuntimeError(f"the server ended with {process.returncode}")
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return
    raise TimeoutError(f"nobody listens on port {port}")


def _until(seconds: float) -> Iterator[None]:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        yield
        time.sleep(0.02)
