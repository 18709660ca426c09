"""Working directory of trials: each trial's own; those that stay empty are not left behind.

Making and removing a directory costs more than a short trial. So the directory of a trial that has left nothing in it
is renamed for the next trial: a process stays in its working directory when that gets another name.
"""

from __future__ import annotations

import contextlib
import os

__all__ = ("WorkingDirectory",)


class WorkingDirectory:
    """The working directory of a process that runs one trial after the other.

    Args:
        shared: Whether callbacks of the search may write into it: then it is left where it is, once something was
            reported.
    """

    def __init__(self, shared: bool = False) -> None:
        self._home = os.getcwd()
        self._shared = shared
        # The directory that is there, and whether the last trial has left it empty.
        self._path = ""
        self._free = False

    def enter(self, path: str) -> None:
        """Make a trial's directory the working directory.

        Args:
            path: The directory; it may be there.
        """
        if self._free and self._renamed(path):
            self._path, self._free = path, False
            return
        self._remove()
        os.makedirs(path, exist_ok=True)
        os.chdir(path)
        self._path = path

    def _renamed(self, path: str) -> bool:
        try:
            # Onto a directory that is there, and empty, works too; one that holds something is refused.
            os.rename(self._path, path)
        except OSError:
            return False
        return True

    def leave(self, last: bool, reported: bool) -> None:
        """Leave the directory of a trial that has ended.

        Args:
            last: Whether no other trial follows at once.
            reported: Whether it has reported anything.
        """
        if not self._path:
            return
        if self._shared and reported:
            os.chdir(self._home)
            self._path = ""
            return
        try:
            os.chdir(self._path)
            self._free = not os.listdir(self._path)
        except OSError:  # the trial has removed its directory
            os.chdir(self._home)
            self._path, self._free = "", False
            return
        if last or not self._free:
            self._remove()

    def _remove(self) -> None:
        """Go home, and remove a directory that is empty."""
        if not self._path:
            return
        os.chdir(self._home)
        if self._free:
            # Refused if something was put there by now.
            with contextlib.suppress(OSError):
                os.rmdir(self._path)
        self._path, self._free = "", False
