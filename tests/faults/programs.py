"""Drivers in processes of their own, and what they leave behind."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from tests.resources import TMPDIR_VARIABLE, becomes_true

__all__ = ("Program",)

_ROOT = Path(__file__).resolve().parents[2]
_PRELUDE = """
import os, signal, sys, threading, time
import numpy as np
import ray_async as ray
from tests.faults.session import node_pid, worker_pids, zygote_pid, session_dir
def say(*words):
    print(*words, flush=True)
"""


class Program:
    """A driver program; its processes are told from others by a session folder of its own.

    Args:
        tmp_path: where that folder is made.
        source: the program; it has `ray`, `np`, `say` and the names of the session's processes.
        limits: lines run before the program, for instance to lower a limit.
    """

    def __init__(self, tmp_path: Path, source: str, limits: str = "") -> None:
        self.folder = tmp_path / "t"
        self.folder.mkdir()
        environment = {**os.environ, TMPDIR_VARIABLE: str(self.folder), "PYTHONPATH": str(_ROOT)}
        self.process = subprocess.Popen(
            [sys.executable, "-c", limits + _PRELUDE + source],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=environment,
            cwd=_ROOT,
        )

    def line(self) -> str:
        """The next line that the program prints."""
        assert self.process.stdout is not None
        return self.process.stdout.readline().strip()

    def finish(self, timeout: float = 60.0) -> tuple[int, str, str]:
        """Wait for the program's end: its exit code, and what it printed to stdout and stderr."""
        out, err = self.process.communicate(timeout=timeout)
        return self.process.returncode, out, err

    def close(self) -> None:
        """End the program, if it runs."""
        if self.process.poll() is None:
            self.process.kill()
        self.process.communicate()

    def left(self) -> list[str]:
        """Processes and files of the session that are still there, once they have had time to go."""
        becomes_true(lambda: not self._left(), 20)
        return self._left()

    def _left(self) -> list[str]:
        wanted = f"{TMPDIR_VARIABLE}={self.folder}".encode()
        found = [str(path) for path in self.folder.glob("ray_async/*") if path.name != "nodes"]
        for entry in Path("/proc").iterdir():
            if not entry.name.isdigit():
                continue
            try:
                if wanted in (entry / "environ").read_bytes().split(b"\0"):
                    found.append(f"{entry.name}: {(entry / 'cmdline').read_bytes()[:100]!r}")
            except (FileNotFoundError, ProcessLookupError, PermissionError):
                continue  # it ended while we looked
        return found
