"""Exit status of a process: how it ended, from its wait status."""

from __future__ import annotations

import os
import signal

from ray_async.frozen import Record

__all__ = ("ExitStatus",)


class ExitStatus(Record):
    """Exit code, or the signal that ended the process; exactly one of the two is set.

    Example:
        >>> ExitStatus.from_wait_status(9).describe()
        'killed by signal 9 (SIGKILL)'
    """

    code: int | None = None
    signal: int | None = None
    core_dumped: bool = False

    @classmethod
    def from_wait_status(cls, status: int) -> ExitStatus:
        """From what `os.waitpid` gives; ValueError where that says the process was only stopped."""
        if os.WIFEXITED(status):
            return cls(code=os.WEXITSTATUS(status))
        if os.WIFSIGNALED(status):
            return cls(signal=os.WTERMSIG(status), core_dumped=os.WCOREDUMP(status))
        raise ValueError(f"wait status {status:#x} is not the end of a process")

    @property
    def signal_name(self) -> str | None:
        """Name of the signal, for instance SIGSEGV; None for an exit."""
        if self.signal is None:
            return None
        try:
            return signal.Signals(self.signal).name
        except ValueError:  # a real-time signal between the named ends
            return f"SIG{self.signal}"

    def describe(self) -> str:
        """How the process ended, in a few words."""
        if self.signal is None:
            return f"ended with exit code {self.code}"
        core = ", core dumped" if self.core_dumped else ""
        return f"killed by signal {self.signal} ({self.signal_name}{core})"
