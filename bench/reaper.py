"""A process that ends what contenders have left once the harness is gone, even if that was killed."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from bench.drivers import processes
from bench.drivers.processes import kill_and_wait

__all__ = ("Reaper",)


class Reaper:
    """The harness's side: a child that reads marks of contenders, and kills their processes at the end of its input."""

    def __init__(self) -> None:
        env = {**os.environ, "PYTHONPATH": str(Path(__file__).parent.parent)}
        command = [sys.executable, "-m", "bench.reaper"]
        # A session of its own: Ctrl-C and signals to the harness's group do not reach it.
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, env=env, start_new_session=True, bufsize=0)

    def watch(self, mark: str) -> None:
        """From now on end the processes that carry this mark when the harness ends."""
        assert self._process.stdin is not None
        self._process.stdin.write(f"{mark}\n".encode())

    def close(self) -> None:
        """End the child, and with it all that is marked."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait()


def main() -> None:
    """Read marks until the harness is gone, then kill."""
    for mark in [line.strip() for line in sys.stdin]:
        for pid in processes.processes_of(mark):
            kill_and_wait(pid)


if __name__ == "__main__":
    main()
