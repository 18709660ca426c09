"""The end of a script that serves: it waits for Ctrl-C where the script itself has started the node."""

from __future__ import annotations

import atexit
import sys
import threading
from collections.abc import Callable

import ray_async as ray

__all__ = ("INTERRUPTED", "ScriptEnd", "serve_until_interrupt")

INTERRUPTED = 130  # the exit status of a program that Ctrl-C has ended


class ScriptEnd:
    """Keeps a script that has run to its end going, until Ctrl-C.

    Args:
        address: Gives the address that is served; empty when nothing is served any more.
        end: Ends Serve.
    """

    def __init__(self, address: Callable[[], str], end: Callable[[], None]) -> None:
        self._address = address
        self._end = end
        self._session: str | None = None
        self._registered = False

    def wait_for(self, session: str) -> None:
        """Wait at the script's end, if this session lives then."""
        self._session = session
        if not self._registered:
            self._registered = True
            # Later registered, earlier run: the session's own end comes after this one.
            atexit.register(self._wait)

    def cancel(self) -> None:
        """Let the script end."""
        self._session = None

    def _wait(self) -> None:
        failed = getattr(sys, "last_value", None) is not None
        session, self._session = self._session, None
        if failed or session is None or not ray.is_initialized():
            return
        if ray.get_runtime_context().get_session_name() != session or not (address := self._address()):
            return
        line = f"Serving {address} until Ctrl-C; serve.run(..., blocking=False) does not wait."
        serve_until_interrupt(line, threading.Event().wait, self._end)


def serve_until_interrupt(line: str, wait: Callable[[], object], end: Callable[[], None]) -> None:
    """Serve until Ctrl-C, finish what there is, and end; at once, when Ctrl-C comes again.

    Args:
        line: What is said at the beginning.
        wait: Waits, until Ctrl-C.
        end: Ends Serve.

    Raises:
        SystemExit: Ctrl-C has come again; its status is that of an interrupted program.
    """
    print(line, flush=True)
    notice = ""
    try:
        wait()
    except KeyboardInterrupt:
        notice = "Finishing requests; Ctrl-C again ends at once.\n"
    try:
        print(notice, end="", flush=True)  # here: who has read it may press Ctrl-C before the next line runs
        end()
    except KeyboardInterrupt:
        ray.shutdown()
        raise SystemExit(INTERRUPTED) from None
