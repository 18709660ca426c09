"""A session's shared memory, and the file that takes what finds no room in it."""

from __future__ import annotations

import contextlib
import os
import shutil
from typing import TYPE_CHECKING

from ray_async._core.arena import OVERFLOW, Arena

if TYPE_CHECKING:
    from ray_async.runtime.messages.session_description import NodeConfig

__all__ = ("make_store", "remove_store")

_TIMES = 8  # the file has places for so many times the store's limit; what it takes of the disk is bounded otherwise
_CHUNK = 65536


def make_store(config: NodeConfig) -> Arena:
    """Make the arena of a new session.

    Args:
        config: the node's: `store_bytes`, `directory`, `lineage_bytes`, `spill_path`, `spills`, `spill_budget`,
            `disk_capacity`.

    Raises:
        OSError: the process may not have so much address space, even for the store's limit alone.
    """
    size = config["store_bytes"]
    if config["spills"]:
        _make_overflow(config, size // _CHUNK * _CHUNK * _TIMES)
    try:
        arena = Arena.create(size, config["directory"], config["lineage_bytes"])
    except OSError as error:
        raise OSError(
            f"an object store of {size} bytes cannot be made: {error}. Choose a smaller object_store_memory, or raise "
            "the limit of this process's address space (ulimit -v)."
        ) from error
    arena.limit_disk(config["spill_budget"], config["disk_capacity"])
    return arena


def remove_store(config: NodeConfig) -> None:
    """Remove what `make_store` has left on the disk, for a session that does not come to be."""
    shutil.rmtree(config["spill_path"], ignore_errors=True)


def _make_overflow(config: NodeConfig, size: int) -> None:
    """The sparse file behind the store; none where the disk takes none, which spilling reports when it is tried."""
    path, link = os.path.join(config["spill_path"], OVERFLOW), os.path.join(config["directory"], OVERFLOW)
    try:
        os.makedirs(config["spill_path"], mode=0o700, exist_ok=True)
        with open(path, "xb") as file:
            os.ftruncate(file.fileno(), size)
        os.symlink(os.path.abspath(path), link)
    except OSError:
        with contextlib.suppress(OSError):
            os.unlink(path)
