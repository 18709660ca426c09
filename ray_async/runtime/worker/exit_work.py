"""The work of a worker's end: what an interpreter does when it exits, in its order, within a time limit."""

from __future__ import annotations

import atexit
import logging
import os
import sys
import threading
from collections.abc import Callable

__all__ = ("ExitLimit", "run_exit_work")

_logger = logging.getLogger("ray_async")
_THREADS_S = 1.0
_PROCESSES_S = 2.0


class ExitLimit:
    """Ends the process when its exit work takes too long.

    Args:
        limit_s: seconds from now; 0 or less for no limit.
    """

    def __init__(self, limit_s: float) -> None:
        self._limit_s = limit_s
        if limit_s > 0:
            threading.Thread(target=self._watch, name="ray::exit", daemon=True).start()

    def _watch(self) -> None:
        # Nobody sets it: the process is gone before.
        threading.Event().wait(self._limit_s)
        _logger.error(
            "the exit work of this worker (__ray_shutdown__, atexit) took more than "
            "actor_graceful_shutdown_timeout_ms=%d: its rest is left out",
            self._limit_s * 1000,
        )
        for stream in (sys.stdout, sys.stderr):
            stream.flush()
        os._exit(1)


def run_exit_work(end_children: bool) -> None:
    """Run the exit hooks of `threading` and of `atexit`, and end what `multiprocessing` has started.

    The hooks of `threading` come first, as in an interpreter: by them the executors of `concurrent.futures` end, for
    whose processes `multiprocessing` would wait for ever. Its waiting comes last, when the user's hooks have had
    their chance to end processes in order.

    Args:
        end_children: whether processes that are still there end with this one.
    """
    _run_within(_THREADS_S, _run_thread_hooks)
    util = sys.modules.get("multiprocessing.util")
    if util is not None:
        atexit.unregister(util._exit_function)
    atexit._run_exitfuncs()
    if util is not None and not _run_within(_PROCESSES_S, lambda: _end_multiprocessing(end_children)):
        _logger.warning("a process or a queue of multiprocessing did not end within %g s", _PROCESSES_S)


def _run_thread_hooks() -> None:
    hooks: list[Callable[[], None]] = getattr(threading, "_threading_atexits", [])
    while hooks:
        hooks.pop()()


def _end_multiprocessing(end_children: bool) -> None:
    from multiprocessing import active_children, util

    if end_children:
        for process in active_children():
            process.terminate()
    util._exit_function()  # type: ignore[attr-defined]


def _run_within(limit_s: float, action: Callable[[], None]) -> bool:
    """Run something on a thread of its own; whether it has ended in time. If not it goes on beside us, to our end."""
    thread = threading.Thread(target=action, name="ray::exit", daemon=True)
    thread.start()
    thread.join(limit_s)
    return not thread.is_alive()
