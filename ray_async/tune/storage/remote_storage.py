"""Remote storage: a directory on a file system of pyarrow or fsspec, and the local directory that is copied there.

A search works in a local directory: its journal has to be locked and appended to. What lies there is copied to the
storage as the search goes on, each checkpoint by the trial that reports it, before the report counts.
"""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ray_async.air.checkpoint import Checkpoint
from ray_async.tune.error import TuneError

__all__ = ("RemoteStorage", "located")


def located(path: str, filesystem: Any) -> tuple[str, Any]:
    """A path and the file system of pyarrow that it lies on; None for a local directory.

    Args:
        path: A path, or a URI such as ``s3://bucket/results``.
        filesystem: A file system of pyarrow or fsspec, or None.

    Raises:
        TuneError: No file system for such a URI, or something else that is given as one.
    """
    if filesystem is None and "://" not in path:
        return path, None
    import pyarrow.fs

    if filesystem is None:
        if path.startswith("file://"):
            return path.removeprefix("file://"), None
        return _of_uri(path)
    if not isinstance(filesystem, pyarrow.fs.FileSystem):
        if not hasattr(filesystem, "protocol"):
            raise TuneError(f"storage_filesystem is a file system of pyarrow or fsspec, but got {filesystem!r}")
        protocol = filesystem.protocol
        if "file" in ([protocol] if isinstance(protocol, str) else protocol):
            return path, None
        filesystem = pyarrow.fs.PyFileSystem(pyarrow.fs.FSSpecHandler(filesystem))
    if filesystem.type_name == "local":
        return path, None
    return path.partition("://")[2] or path, filesystem


def _of_uri(uri: str) -> tuple[str, Any]:
    import pyarrow.fs

    try:
        found, path = pyarrow.fs.FileSystem.from_uri(uri)
    except (ValueError, pyarrow.ArrowInvalid) as reason:
        try:
            import fsspec

            inner, path = fsspec.core.url_to_fs(uri)
        except (ImportError, ValueError):
            raise TuneError(f"there is no file system for storage_path {uri!r}: {reason}") from reason
        return path, pyarrow.fs.PyFileSystem(pyarrow.fs.FSSpecHandler(inner))
    return path, found


@dataclass(frozen=True)
class RemoteStorage:
    """A directory on a file system, and the local one that is copied there.

    Args:
        filesystem: A file system of pyarrow.
        path: The directory on it.
        local: The local directory.
    """

    filesystem: Any
    path: str
    local: str

    @classmethod
    def of(cls, path: str, filesystem: Any) -> RemoteStorage:
        """The storage of a directory, with a local one of its own.

        Args:
            path: The directory on the file system.
            filesystem: The file system of pyarrow.
        """
        key = f"{filesystem.type_name}:{getattr(filesystem, 'endpoint_override', '')}:{path.rstrip('/')}"
        name = hashlib.sha256(key.encode()).hexdigest()[:16]
        root = os.environ.get("TUNE_STAGING_PATH") or os.path.join(
            tempfile.gettempdir(), f"ray_async_tune_{os.getuid()}"
        )
        return cls(filesystem, path.rstrip("/"), os.path.join(root, name))

    def below(self, name: str) -> RemoteStorage:
        """The same for a directory inside of it.

        Args:
            name: The directory's name.
        """
        return RemoteStorage(self.filesystem, f"{self.path}/{name}", os.path.join(self.local, name))

    def remote_path(self, local: str) -> str:
        """Where a local path is copied to.

        Args:
            local: A path in the local directory.
        """
        relative = os.path.relpath(local, self.local)
        return self.path if relative == "." else f"{self.path}/{relative}"

    def checkpoint(self, local: Checkpoint) -> Checkpoint:
        """A checkpoint as it lies on the storage.

        Args:
            local: The checkpoint in the local directory.
        """
        return Checkpoint(self.remote_path(local.path), self.filesystem)

    def upload(self, local: str) -> None:
        """Copy a file or a directory to the storage.

        Args:
            local: Its path in the local directory.

        Raises:
            OSError: The copy failed.
        """
        for file in _files(local):
            target = self.remote_path(str(file))
            self.filesystem.create_dir(os.path.dirname(target), recursive=True)
            # In parts, so that a large file is not held in memory; a store that has no parts gets it as a whole.
            with open(file, "rb") as source, self.filesystem.open_output_stream(target) as stream:
                while part := source.read(4 << 20):
                    stream.write(part)

    def download(self) -> None:
        """Copy all that lies on the storage to the local directory.

        Raises:
            FileNotFoundError: Nothing lies there.
        """
        import pyarrow.fs

        os.makedirs(self.local, exist_ok=True)
        selector = pyarrow.fs.FileSelector(self.path, recursive=True)
        for found in self.filesystem.get_file_info(selector):
            target = os.path.join(self.local, os.path.relpath(found.path, self.path))
            if found.type == pyarrow.fs.FileType.Directory:
                os.makedirs(target, exist_ok=True)
                continue
            os.makedirs(os.path.dirname(target), exist_ok=True)
            with self.filesystem.open_input_stream(found.path) as stream, open(f"{target}.part", "wb") as file:
                while part := stream.read(4 << 20):
                    file.write(part)
            os.replace(f"{target}.part", target)

    def holds(self, name: str) -> bool:
        """Tell whether a file lies there.

        Args:
            name: Its name.
        """
        import pyarrow.fs

        (found,) = self.filesystem.get_file_info([f"{self.path}/{name}"])
        return bool(found.type == pyarrow.fs.FileType.File)

    def remove(self, local: str) -> None:
        """Remove a directory's copy.

        Args:
            local: The directory's path in the local directory.
        """
        try:
            self.filesystem.delete_dir(self.remote_path(local))
        except FileNotFoundError:
            return


def _files(local: str) -> Iterator[Path]:
    path = Path(local)
    if path.is_file():
        yield path
        return
    for child in sorted(path.rglob("*")):
        if child.is_file() and not child.name.endswith(".part"):
            yield child
