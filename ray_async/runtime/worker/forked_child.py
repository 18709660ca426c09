"""Children that user code forks from a worker: a child that comes back from user code ends there.

What it returns or raises is nobody's result, since the record belongs to the parent, which goes on with it. The arena
is closed in the child, and whatever would complete a record asks `Arena.end_if_forked` first. A coroutine can also come
back by waiting: the event loop is the parent's, and would run the parent's other calls in the child.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Callable
from types import FrameType
from typing import Any, NoReturn

from ray_async._core.arena import set_hooks

__all__ = ("end_child", "prepare_for_forks", "runs_a_loop")

#: Where the standard library forks for itself: such a child never comes back, and is not to be slowed down.
_LIBRARY_FORKS = tuple(os.path.join("multiprocessing", name) for name in ("popen_fork.py", "forkserver.py"))
_LOOP_MODULES = ("asyncio.base_events", "asyncio.events", "asyncio.unix_events", "asyncio.runners")
_HANDLED_SIGNALS = (signal.SIGINT, signal.SIGTERM)
_loop_runners: set[Any] = set()


def runs_a_loop(function: Callable[..., Any]) -> Callable[..., Any]:
    """Mark a function of the worker that runs one of the worker's event loops."""
    _loop_runners.add(function.__code__)
    return function


def prepare_for_forks(flush: Callable[[], None]) -> None:
    """Have this worker's forked children be no workers.

    Args:
        flush: writes what the streams hold, which the child would write once more.
    """
    set_hooks(end_child=end_child)
    signals = _HeldSignals()
    os.register_at_fork(after_in_child=_begin_child)
    # These run last before the fork, and in the child after the handlers have been put back.
    os.register_at_fork(before=signals.hold, after_in_parent=signals.let_go, after_in_child=signals.let_go)
    os.register_at_fork(before=flush)


class _HeldSignals:
    """Signals kept from a child until its handlers are its own.

    Python forgets the signals with handlers that come to a child before its state is in order: a process of
    multiprocessing that is terminated at once would run on.
    """

    def __init__(self) -> None:
        self._masks = threading.local()

    def hold(self) -> None:
        """Block the signals that the worker handles, in the thread that is about to fork."""
        self._masks.before = signal.pthread_sigmask(signal.SIG_BLOCK, _HANDLED_SIGNALS)

    def let_go(self) -> None:
        """Put the mask back as it was before."""
        signal.pthread_sigmask(signal.SIG_SETMASK, self._masks.before)


def end_child(error: BaseException | None) -> NoReturn:
    """End this process like a program whose main code has ended.

    Args:
        error: what ended it, None if it has returned.
    """
    code = 0
    if isinstance(error, SystemExit):
        if isinstance(error.code, int):
            code = error.code
        elif error.code is not None:
            print(error.code, file=sys.stderr)
            code = 1
    elif error is not None:
        import traceback

        traceback.print_exception(error)
        code = 1
    _leave(code)


def _leave(code: int) -> NoReturn:
    try:
        for stream in (sys.stdout, sys.stderr):
            stream.flush()
    finally:
        os._exit(code)


def _begin_child() -> None:
    signal.set_wakeup_fd(-1)  # the parent's loop reads what is written there
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    frame: FrameType | None = sys._getframe(1)
    if frame is not None and frame.f_code.co_filename.endswith(_LIBRARY_FORKS):
        return
    outermost = _outermost_on_loop(frame)
    if outermost is not None:
        sys.setprofile(_ReturnWatch(outermost))


def _outermost_on_loop(frame: FrameType | None) -> FrameType | None:
    """The frame that one of the worker's loops has called; None where none of them has."""
    outermost = None
    while frame is not None:
        if frame.f_code in _loop_runners:
            return outermost
        if frame.f_globals.get("__name__") not in _LOOP_MODULES:
            outermost = frame
        frame = frame.f_back
    return None


class _ReturnWatch:
    """A profile function that ends the process when a frame is left, for the loop, by a return, an await or an error.

    Args:
        frame: the frame.
    """

    def __init__(self, frame: FrameType) -> None:
        self._frame = frame

    def __call__(self, frame: FrameType, event: str, argument: object) -> None:
        if event == "return" and frame is self._frame:
            print(
                "a forked child has come back to the event loop of its worker, and ends: "
                "end it with os._exit(), or start a multiprocessing.Process instead",
                file=sys.stderr,
            )
            _leave(1)
