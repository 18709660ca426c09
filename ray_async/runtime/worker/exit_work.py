"""The work of a worker's end: what an interpreter does when it exits, in its order, within a time limit."""

from __future__ import annotations

import atexit
import logging
import os
import sys
import threading
from collections.abc import Callable
from typing import Any

from ray_async._core.arena import get_current
from ray_async.config import ACTOR_GRACEFUL_SHUTDOWN_MS, KILL_CHILD_PROCESSES, Settings

__all__ = ("run_exit_work",)

_logger = logging.getLogger("ray_async")
_THREADS_S = 1.0
_PROCESSES_S = 2.0


def run_exit_work(settings: Settings, actor: Any) -> None:
    """Run an actor's ``__ray_shutdown__``, then the exit hooks of `threading`, `atexit` and `multiprocessing`.

    The hooks of `threading` come first, as in an interpreter: by them the executors of `concurrent.futures` end, for
    whose processes `multiprocessing` would wait for ever. Its waiting comes last, when the user's hooks have had
    their chance to end processes in order.

    Args:
        settings: of the session.
        actor: what this worker hosts, None for none.
    """
    _limit_time(settings.get(ACTOR_GRACEFUL_SHUTDOWN_MS) / 1000)
    _shut_down(actor)
    arena = get_current()
    if arena is not None:
        arena.end_if_forked()
    from ray_async.engine import current

    atexit.unregister(current.disconnect)
    _run_within(_THREADS_S, _run_thread_hooks)
    util = sys.modules.get("multiprocessing.util")
    if util is not None:
        atexit.unregister(util._exit_function)
    atexit._run_exitfuncs()
    end_children = settings.get(KILL_CHILD_PROCESSES)
    if util is not None and not _run_within(_PROCESSES_S, lambda: _end_multiprocessing(end_children)):
        _logger.warning("a process or a queue of multiprocessing did not end within %g s", _PROCESSES_S)


def _limit_time(limit_s: float) -> None:
    """End the process when its exit work takes longer; 0 or less is no limit."""

    def end() -> None:
        threading.Event().wait(limit_s)  # nobody sets it: the process is gone before
        _logger.error(
            "the exit work of this worker (__ray_shutdown__, atexit) took more than "
            "actor_graceful_shutdown_timeout_ms=%d: its rest is left out",
            limit_s * 1000,
        )
        for stream in (sys.stdout, sys.stderr):
            stream.flush()
        os._exit(1)

    if limit_s > 0:
        threading.Thread(target=end, name="ray::exit", daemon=True).start()


def _shut_down(actor: Any) -> None:
    shutdown = getattr(actor, "__ray_shutdown__", None)
    if not callable(shutdown):
        return
    try:
        shutdown()
    except Exception as error:
        error.__suppress_context__ = True  # what it ends for is no part of the error
        _logger.exception("Error in __ray_shutdown__() of %s", type(actor).__name__)


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
