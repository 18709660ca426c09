"""Watch on a worker's event loop: it reports, by name and stack, what keeps a worker's event loop from running."""

from __future__ import annotations

import asyncio
import os
import sys
import threading
import time
import traceback
from collections.abc import Callable
from types import FrameType

__all__ = ("PACKAGE", "StallWatch")

PACKAGE = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))) + os.sep
"""Where this package's own code lies."""


class StallWatch:
    """Reports on stderr, once each, that the loop has not run for some time.

    The loop notes the time now and then; a thread compares. Nothing else depends on it.

    Args:
        after: seconds; 0 for no reports.
        name: names what runs at a frame of the loop's thread; None: nothing known.
    """

    def __init__(self, after: float, name: Callable[[FrameType | None], str | None]) -> None:
        self._after = after
        self._name = name
        self._beat = time.monotonic()
        self._stop = threading.Event()
        self._thread_id = threading.get_ident()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._handle: asyncio.TimerHandle | None = None

    def start(self) -> None:
        """Begin to watch the running loop."""
        if self._after <= 0:
            return
        self._loop = asyncio.get_running_loop()
        self._tick()
        threading.Thread(target=self._watch, name="ray::stall-watch", daemon=True).start()

    def stop(self) -> None:
        """Stop watching."""
        self._stop.set()
        if self._handle is not None:
            self._handle.cancel()

    def _tick(self) -> None:
        self._beat = time.monotonic()
        if self._loop is not None:
            self._handle = self._loop.call_later(self._after / 4, self._tick)

    def _watch(self) -> None:
        reported = 0.0
        while not self._stop.wait(self._after / 2):
            beat = self._beat
            stalled = time.monotonic() - beat
            if stalled < self._after or beat == reported:
                continue
            reported = beat
            print(self._report(stalled), file=sys.stderr, flush=True)

    def _report(self, stalled: float) -> str:
        frame = sys._current_frames().get(self._thread_id)
        what = self._name(frame) or "a callback"
        return (
            f"The event loop of this worker (pid {os.getpid()}) has not run for {stalled:.1f} s: {what} blocks it. "
            f"Use await, or asyncio.to_thread() for calls that block.\n{_user_stack(frame)}"
        )


def _user_stack(frame: FrameType | None) -> str:
    """The stack without this package's own frames, unless nothing else is in it."""
    stack = traceback.extract_stack(frame) if frame is not None else traceback.StackSummary()
    users = [entry for entry in stack if not entry.filename.startswith(PACKAGE) and not _is_start(entry)]
    return "".join(traceback.format_list(users or stack)).rstrip("\n")


def _is_start(entry: traceback.FrameSummary) -> bool:
    """Whether this is the command line that the process began with."""
    return entry.filename == "<string>" and entry.name == "<module>"
