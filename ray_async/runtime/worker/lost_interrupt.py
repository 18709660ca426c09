"""Interrupts that Python has dropped: those raised in `__del__`, a weak reference's callback or the collector."""

from __future__ import annotations

import signal
import sys
import threading
from collections.abc import Callable
from typing import Any

__all__ = ("LostInterrupts",)

_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 0.001, 0.5
_MARK = "_ray_async_interrupt"


class LostInterrupts:
    """Sees interrupts that did not come through, and has each raised again.

    Python prints an exception that nothing can take, and goes on. The cancelled code would never end, and its cancel
    would count as delivered.

    Args:
        take_back: called on the main thread with the record of a lost interrupt: it was not delivered after all.
        is_due: whether a record still runs, and its cancel was not delivered.
    """

    def __init__(self, take_back: Callable[[int], None], is_due: Callable[[int], bool]) -> None:
        self._take_back = take_back
        self._is_due = is_due
        self._before = sys.unraisablehook
        self._handling = False

    def install(self) -> None:
        """Look at what Python drops from now on."""
        self._before = sys.unraisablehook
        sys.unraisablehook = self._dropped

    @property
    def handling(self) -> bool:
        """Whether a drop is being looked at: what is raised now is lost as well."""
        return self._handling

    @staticmethod
    def mark(error: BaseException, record: int) -> BaseException:
        """Note in an interrupt whose it is; no reference to it is kept, since it refers to all frames."""
        error.__dict__[_MARK] = record
        return error

    def _dropped(self, what: Any) -> None:
        record = getattr(what.exc_value, "__dict__", {}).get(_MARK)
        if record is None:
            self._before(what)
            return
        self._handling = True
        try:
            self._take_back(record)
            threading.Thread(target=self._repeat, args=(record,), name="ray::interrupt", daemon=True).start()
        finally:
            self._handling = False

    def _repeat(self, record: int) -> None:
        """Send the signal until it has come through, or was dropped again: then another thread does this."""
        pause, over = _FIRST_PAUSE_S, threading.Event()
        main = threading.main_thread().ident
        while main is not None and not over.wait(pause) and self._is_due(record):
            signal.pthread_kill(main, signal.SIGINT)
            pause = min(2 * pause, _LONGEST_PAUSE_S)
