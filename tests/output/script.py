"""Scripts whose output is looked at, run as a user runs them."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
import termios

__all__ = ("run", "run_on_terminal")

_GREETINGS = ("-- Started a local Ray instance.", "-- Connected to Ray cluster.")


def run(script: str, timeout: float = 100, greeting: bool = False, **environ: str) -> tuple[list[str], list[str]]:
    """Run a script; returns the lines of its stdout and of its stderr.

    Args:
        script: what stands between imports and the end of the session.
        timeout: seconds that it may take.
        greeting: whether what `init` logs is among the lines.
        environ: more environment variables.
    """
    done = subprocess.run(
        [sys.executable, "-c", script],
        capture_output=True,
        timeout=timeout,
        check=False,
        env={**os.environ, **environ},
    )
    errors = done.stderr.decode()
    assert done.returncode == 0, errors
    lines = [line for line in errors.splitlines() if greeting or not line.endswith(_GREETINGS)]
    return done.stdout.decode().splitlines(), lines


def run_on_terminal(script: str) -> str:
    """Run a script on a terminal of its own; returns all that it showed there."""
    ours, theirs = pty.openpty()
    termios.tcsetwinsize(theirs, (24, 100))
    process = subprocess.Popen([sys.executable, "-c", script], stdout=theirs, stderr=theirs, stdin=theirs)
    os.close(theirs)
    shown = b""
    try:
        while True:
            try:
                data = os.read(ours, 1 << 16)
            except OSError:  # how Linux says that the last writer has closed the terminal
                break
            if not data:
                break
            shown += data
    finally:
        os.close(ours)
        assert process.wait(timeout=60) == 0, shown.decode(errors="replace")
    return shown.decode()
