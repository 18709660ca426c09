"""Preloading: importing what the user wants all workers to have, in the zygote where that is safe, else in each worker.

A fork has none of the threads of its parent. Libraries that have only been imported do not mind. One that has computed
already, with polars, torch or OpenMP, waits for its threads for ever. So whoever has threads after an import that are
not known to be harmless is imported by the workers.
"""

from __future__ import annotations

import contextlib
import logging
import os
import threading
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ray_async.runtime.worker.thread_pools import ThreadPools

__all__ = ("import_deferred", "threads_beyond_import")

_logger = logging.getLogger("ray_async")

#: Threads that libraries start when they are imported, and whose lack does not matter: memory is given back later
#: (jemalloc, in Arrow and polars), files of the out-of-core engine are removed later (polars).
_HARMLESS = ("jemalloc_bg_thd", "polars-ooc-clea")


def threads_beyond_import() -> list[str]:
    """Names of the threads of this process, without its main one, that a fork must not lack."""
    python = {thread.native_id: thread.name for thread in threading.enumerate()}
    names = []
    for task in os.listdir("/proc/self/task"):
        if int(task) != os.getpid():
            with contextlib.suppress(OSError), open(f"/proc/self/task/{task}/comm") as file:
                name = file.read().strip()
                if name not in _HARMLESS:
                    names.append(python.get(int(task), name))
    return sorted(names)


def import_deferred(config: Mapping[str, Any]) -> ThreadPools | None:
    """Import, in a worker, what could not be preloaded in the zygote.

    Args:
        config: the worker's.

    Returns:
        The native pools of threads that were loaded before their size was known; None for none.
    """
    deferred = config.get("preload_in_workers", ())
    if not deferred and not config.get("thread_pools"):
        return None
    from ray_async.runtime.worker.thread_pools import ThreadPools, loaded_pools

    for name in deferred:
        try:
            __import__(name)
        except (Exception, SystemExit):  # whatever code of the user's raises; a task that needs it will say so
            _logger.exception("preloading: %s cannot be imported", name)
    return ThreadPools(loaded_pools() if deferred else config["thread_pools"])
