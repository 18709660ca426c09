"""The thread that ends what is over. It sleeps unless something may have ended, or somebody asks."""

from __future__ import annotations

import logging
import os
import selectors
import socket
import threading
from collections.abc import Callable

__all__ = ("Caretaker",)

_logger = logging.getLogger("ray_async")
_SHORTEST_S, _LONGEST_S = 0.005, 0.25


class Caretaker:
    """Calls `sweep` again and again, ever more seldom, while that says there is more to come.

    Args:
        sweep: ends what is over; true if it should be called again before long.
    """

    def __init__(self, sweep: Callable[[], bool]) -> None:
        self._sweep = sweep
        self._fd = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._fd, selectors.EVENT_READ)
        self._rests = True
        self._ends = False
        self._thread = threading.Thread(target=self._run, name="ray::gpu", daemon=True)
        self._thread.start()

    def serve(self, sock: socket.socket, answer: Callable[[], None]) -> None:
        """Call `answer` whenever a socket has something to read."""
        self._selector.register(sock, selectors.EVENT_READ, answer)
        self.wake()

    def wake(self) -> None:
        """Have it look soon. Called where arrays die: no lock is taken."""
        fd = self._fd
        if fd >= 0:
            os.eventfd_write(fd, 1)

    def attend(self) -> None:
        """There is something to look at from now on; the first look may take its time."""
        if self._rests:
            self.wake()

    def close(self) -> None:
        """End the thread."""
        self._ends = True
        self.wake()
        if threading.current_thread() is not self._thread:
            self._thread.join()
        fd, self._fd = self._fd, -1
        self._selector.close()
        os.close(fd)

    def _run(self) -> None:
        pause: float | None = None
        while not self._ends:
            self._rests = pause is None
            ready = self._selector.select(pause)
            self._rests = False
            woken = False
            for key, _ in ready:
                if key.data is None:
                    os.eventfd_read(self._fd)
                    woken = True
                else:
                    key.data()
            try:
                again = self._sweep()
            except Exception:  # of the device's library, by the program's doing; what is over is looked at again
                _logger.exception("what is over of arrays on GPUs could not be ended")
                again = True
            if not again:
                pause = None
            elif woken or pause is None:
                pause = _SHORTEST_S
            else:
                pause = min(2 * pause, _LONGEST_S)
