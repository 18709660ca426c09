"""Frames of user code: which record's code a thread is in, as a signal's handler finds it.

An interrupt comes between any two instructions, when no variable of the host says for certain what runs: the loop
may be in its own code, or in another call's. The stack does say it. The few methods that call user code are marked, and
what they run is read from their frames' variables ``record`` and ``definition``. A marked method without these fails to
load.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from types import CodeType, FrameType
from typing import Any, TypeVar

from ray_async.runtime.worker.stall_watch import PACKAGE

__all__ = ("running_definition", "running_record", "runs_user_code")

Method = TypeVar("Method", bound=Callable[..., Any])

_VARIABLES = frozenset({"definition", "record"})
_callers: set[CodeType] = set()


def runs_user_code(method: Method) -> Method:
    """Mark a method that calls the code of a record; its frames show which one.

    Raises:
        TypeError: it has no variables ``record`` and ``definition``.
    """
    code = inspect.unwrap(method).__code__
    missing = _VARIABLES.difference(code.co_varnames, code.co_cellvars)
    if missing:
        raise TypeError(f"{method.__qualname__} runs user code, but has no variable {', '.join(sorted(missing))}")
    _callers.add(code)
    return method


def _caller_of_user_code(frame: FrameType | None) -> FrameType | None:
    """The frame that runs a record, if what it runs at ``frame`` is the user's code and not this package's."""
    inner: FrameType | None = None
    while frame is not None and frame.f_code not in _callers:
        inner, frame = frame, frame.f_back
    if inner is None or inner.f_code.co_filename.startswith(PACKAGE):
        return None
    return frame


def running_record(frame: FrameType | None) -> int:
    """The record whose code is at ``frame``; 0 for none."""
    caller = _caller_of_user_code(frame)
    return int(caller.f_locals["record"]) if caller is not None else 0


def running_definition(frame: FrameType | None) -> str | None:
    """Name of the task or method whose code is at ``frame``."""
    caller = _caller_of_user_code(frame)
    return caller.f_locals["definition"].name if caller is not None else None
