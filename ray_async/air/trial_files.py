"""Files of a trial's directory, on this machine or on a file system of pyarrow."""

from __future__ import annotations

import os
from typing import Any

__all__ = ("TrialFiles",)


class TrialFiles:
    """The directory that a trial has written.

    Args:
        path: The directory.
        filesystem: A file system of pyarrow on which it lies; None: this machine's.
    """

    def __init__(self, path: str | os.PathLike[str], filesystem: Any = None) -> None:
        self.path = os.path.expanduser(path) if filesystem is None else os.fspath(path).rstrip("/")
        self.filesystem = filesystem

    def read(self, name: str) -> bytes | None:
        """The content of a file; None if there is none of that name."""
        try:
            if self.filesystem is None:
                with open(os.path.join(self.path, name), "rb") as file:
                    return file.read()
            with self.filesystem.open_input_stream(f"{self.path}/{name}") as stream:
                content: bytes = stream.read()
                return content
        except FileNotFoundError:
            return None

    def folders(self, prefix: str) -> list[str]:
        """Names of the directories in it that begin so, in order."""
        if self.filesystem is None:
            entries = [entry.name for entry in os.scandir(self.path) if entry.is_dir()]
        else:
            from pyarrow.fs import FileSelector, FileType

            found = self.filesystem.get_file_info(FileSelector(self.path))
            entries = [info.base_name for info in found if info.type == FileType.Directory]
        return sorted(name for name in entries if name.startswith(prefix))
