"""Notices that an event loop is blocked, and where.

A heartbeat runs on the loop. When it stays away and the loop's thread is seen at the same place time after time,
outside the loop's own wait, that is a blocked loop; a machine that is merely slow moves on between two looks.
"""

import asyncio
import sys
import threading
import traceback
from types import FrameType

__all__ = ("LoopWatch",)


class LoopWatch:
    """Watch the running loop from a thread of its own.

    Args:
        period: seconds between two looks at the loop's thread.
        looks: how many looks in a row must find it at the same place.
    """

    def __init__(self, period: float = 0.5, looks: int = 5) -> None:
        self.period = period
        self.looks = looks
        self.stalls: list[str] = []
        self._beats = 0
        self._stop = threading.Event()
        self._loop = asyncio.get_running_loop()
        self._thread_id = threading.get_ident()
        self._handle = self._loop.call_soon(self._beat)
        self._thread = threading.Thread(target=self._watch, name="loop-watch", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """End the watch; `stalls` then holds a stack for each time the loop was blocked."""
        self._stop.set()
        self._handle.cancel()
        self._thread.join()

    def _beat(self) -> None:
        self._beats += 1
        self._handle = self._loop.call_later(self.period / 4, self._beat)

    def _watch(self) -> None:
        seen: tuple[object, ...] = ()
        same = 0
        while not self._stop.wait(self.period):
            frame = sys._current_frames().get(self._thread_id)
            place = (self._beats, id(frame), frame.f_lasti if frame else 0)
            same = same + 1 if place == seen else 0
            seen = place
            if same == self.looks and frame is not None and not _in_loop(frame):
                self.stalls.append("".join(traceback.format_stack(frame)))


def _in_loop(frame: FrameType) -> bool:
    """Whether the thread is in the loop's own code (selecting), rather than in a callback."""
    # uvloop has no frame of its own: what called run_forever is then the innermost.
    return str(frame.f_globals.get("__name__", "")).startswith(("selectors", "asyncio.base_events", "asyncio.runners"))
