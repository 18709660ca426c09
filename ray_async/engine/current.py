"""The current session: the one place where a process's connection is found."""

from __future__ import annotations

import atexit
import os
import signal
import threading
import weakref
from collections.abc import Callable
from types import FrameType
from typing import NoReturn

from ray_async.config import ENABLE_AUTO_CONNECT, Settings
from ray_async.engine.init_options import InitOptions
from ray_async.engine.protocol import Session
from ray_async.engine.registry import get_engine

__all__ = (
    "connect",
    "current_session",
    "disconnect",
    "get_session",
    "has_session",
    "rebind",
    "result_is_wanted",
    "set_session",
)


class CurrentSession:
    """Holds the session; callers that keep templates compare theirs with it by identity."""

    __slots__ = ("bindings", "forked", "hooked", "lock", "session", "signalled")

    def __init__(self) -> None:
        self.session: Session | None = None
        #: Functions that drop what a caller keeps of the session: it would keep all of the shared memory alive. Each is
        #: called with whether the session has ended.
        self.bindings: weakref.WeakSet[Callable[[bool], None]] = weakref.WeakSet()
        self.forked = False
        self.hooked = False
        self.signalled = False
        self.lock = threading.RLock()

    def forget(self) -> None:
        """In a forked child: the session belongs to the parent, whose descriptors must not be used."""
        self.forked = self.forked or self.session is not None
        self.session = None
        self.lock = threading.RLock()


current_session = CurrentSession()


def get_session() -> Session:
    """Find the session, starting one where none is (unless RAY_ENABLE_AUTO_CONNECT=0).

    Raises:
        RaySystemError: Not connected and not allowed to connect, or a child forked from a connected process.
    """
    session = current_session.session
    if session is not None:
        return session
    if current_session.forked:
        raise _not_connected(
            "This process was forked from one that is connected, and a connection cannot be shared: "
            "call init() in the child, or start it by spawn."
        )
    if not Settings().get(ENABLE_AUTO_CONNECT):
        raise _not_connected(
            "Ray has not been started yet. Call init() first: RAY_ENABLE_AUTO_CONNECT=0 forbids doing it here."
        )
    with current_session.lock:
        return current_session.session or connect(InitOptions())


def _not_connected(reason: str) -> Exception:
    from ray_async.exceptions import RaySystemError  # the error tree is not paid for by importing the package

    return RaySystemError(reason)


def has_session() -> bool:
    """Return whether the process is connected."""
    return current_session.session is not None


def result_is_wanted() -> bool:
    """Whether anybody can still read what the running call returns; False once all who could have ended."""
    session = current_session.session
    return session is None or session.result_is_wanted()


def set_session(session: Session | None) -> None:
    """Make a session the process's current one, or None for no session."""
    with current_session.lock:
        if session is not None and not current_session.hooked:
            os.register_at_fork(after_in_child=current_session.forget)
            atexit.register(disconnect)
            current_session.hooked = True
        current_session.session = session
        current_session.forked = False
        for unbind in list(current_session.bindings):
            unbind(True)
        current_session.bindings.clear()


def rebind() -> None:
    """Have callers prepare their templates anew: what tasks inherit from this process has changed."""
    with current_session.lock:
        for unbind in list(current_session.bindings):
            unbind(False)


def connect(options: InitOptions) -> Session:
    """Start a session and make it current.

    Raises:
        ConnectionError: The address names no running node.
    """
    with current_session.lock:
        session = get_engine().start_session(options.with_environment())
        set_session(session)
        _end_on_sigterm()
        return session


def disconnect(wait_for_processes: bool = False) -> None:
    """Close the current session, if there is one."""
    with current_session.lock:
        session = current_session.session
        if session is None:
            return
        set_session(None)
        session.close(wait_for_processes)


def _end_on_sigterm() -> None:
    """Turn SIGTERM, which skips exit handlers, into SystemExit, unless the user handles it."""
    if threading.current_thread() is not threading.main_thread() or current_session.signalled:
        return
    if signal.getsignal(signal.SIGTERM) is signal.SIG_DFL:
        signal.signal(signal.SIGTERM, _exit)
        current_session.signalled = True


def _exit(number: int, frame: FrameType | None) -> NoReturn:
    raise SystemExit(128 + number)
