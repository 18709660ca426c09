"""Fetching of experiments: the local directory of one, copied from its storage where it is kept elsewhere."""

from __future__ import annotations

import os
from typing import Any

from ray_async.tune.journal.journal import NAME
from ray_async.tune.storage.remote_storage import RemoteStorage, located

__all__ = ("fetched", "storage_of")


def storage_of(path: str | os.PathLike[str], filesystem: Any) -> tuple[str, RemoteStorage | None]:
    """The local directory of an experiment, and the storage that it is kept in, if that is another.

    Args:
        path: The experiment's directory, or its URI.
        filesystem: A file system of pyarrow or fsspec, or None.
    """
    place, system = located(os.fspath(path), filesystem)
    if system is None:
        return os.path.abspath(os.path.expanduser(place)), None
    parent, _, name = place.rstrip("/").rpartition("/")
    storage = RemoteStorage.of(parent, system).below(name)
    return storage.local, storage


def fetched(path: str | os.PathLike[str], filesystem: Any) -> tuple[str, RemoteStorage | None]:
    """The same, with all that is needed in the local directory.

    What lies there already is kept if it is as new: of the same search on the same machine.

    Args:
        path: The experiment's directory, or its URI.
        filesystem: A file system of pyarrow or fsspec, or None.
    """
    folder, storage = storage_of(path, filesystem)
    if storage is not None and not os.path.exists(os.path.join(folder, NAME)):
        storage.download()
    return folder, storage
