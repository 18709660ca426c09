"""Checkpoint: a directory of files that a run has saved, wherever it lies."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import tempfile
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

__all__ = ("Checkpoint",)

_METADATA = ".metadata.json"


class Checkpoint:
    """Reference to a directory of saved files.

    Args:
        path: The directory.
        filesystem: A file system of pyarrow on which the path lies; None: this machine's.

    Example:
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     _ = Path(folder, "epoch").write_text("3")
        ...     with Checkpoint(folder).as_directory() as saved:
        ...         print(Path(saved, "epoch").read_text())
        3
    """

    def __init__(self, path: str | os.PathLike[str], filesystem: Any = None) -> None:
        self.path = os.fspath(path)
        self.filesystem = filesystem

    @classmethod
    def from_directory(cls, path: str | os.PathLike[str]) -> Checkpoint:
        """The checkpoint that a local directory holds; nothing is copied.

        Args:
            path: The directory.
        """
        return cls(path)

    def to_directory(self, path: str | os.PathLike[str] | None = None) -> str:
        """Copy the files into a directory.

        Args:
            path: The directory, made if it is missing; a new temporary one by default.

        Returns:
            The directory's path. Who asked for a temporary one removes it.

        Raises:
            FileNotFoundError: The checkpoint's directory is gone.
        """
        target = os.fspath(path) if path is not None else os.path.join(tempfile.gettempdir(), self._temporary_name())
        os.makedirs(target, exist_ok=True)
        if self._is_local():
            shutil.copytree(self.path, target, dirs_exist_ok=True)
        else:
            import pyarrow.fs

            pyarrow.fs.copy_files(
                self.path,
                target,
                source_filesystem=self.filesystem,
                destination_filesystem=pyarrow.fs.LocalFileSystem(),
            )
        return target

    @contextlib.contextmanager
    def as_directory(self) -> Iterator[str]:
        """The files as a local directory, for a ``with`` block.

        Files of this machine are not copied, so nothing may be written there; others are, and removed afterwards.
        """
        if self._is_local():
            if not os.path.isdir(self.path):
                raise FileNotFoundError(f"the checkpoint's directory is gone: {self.path}")
            yield self.path
            return
        copy = self.to_directory()
        try:
            yield copy
        finally:
            shutil.rmtree(copy)

    def get_metadata(self) -> dict[str, Any]:
        """What `set_metadata` has stored with the files; empty if nothing."""
        if not self._is_local():
            with self.as_directory() as folder:
                return Checkpoint(folder).get_metadata()
        try:
            text = Path(self.path, _METADATA).read_text()
        except FileNotFoundError:
            return {}
        found: dict[str, Any] = json.loads(text)
        return found

    def set_metadata(self, metadata: dict[str, Any]) -> None:
        """Store values beside the files, in place of earlier ones.

        Args:
            metadata: Values that JSON can hold.
        """
        text = json.dumps(metadata)
        if self._is_local():
            Path(self.path, _METADATA).write_text(text)
            return
        with self.filesystem.open_output_stream(f"{self.path}/{_METADATA}") as stream:
            stream.write(text.encode())

    def update_metadata(self, metadata: dict[str, Any]) -> None:
        """Store values beside those that are there.

        Args:
            metadata: Values that JSON can hold.
        """
        self.set_metadata({**self.get_metadata(), **metadata})

    def _is_local(self) -> bool:
        return self.filesystem is None or getattr(self.filesystem, "type_name", "") == "local"

    def _temporary_name(self) -> str:
        return f"checkpoint_tmp_{uuid.uuid4().hex}"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Checkpoint) and (self.path, self.filesystem) == (other.path, other.filesystem)

    def __hash__(self) -> int:
        return hash(self.path)

    def __repr__(self) -> str:
        kind = "local" if self.filesystem is None else getattr(self.filesystem, "type_name", "")
        return f"Checkpoint(filesystem={kind}, path={self.path})"
