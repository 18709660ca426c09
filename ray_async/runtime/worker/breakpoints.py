"""Breakpoints in a worker, which has no terminal: an error that says what to do instead."""

from __future__ import annotations

import os
import sys
from typing import Any

__all__ = ("explained", "install")

_ADVICE = (
    "a worker process has no terminal, so a debugger cannot ask for commands there. Run the code in the driver instead "
    "(a task's function is f._function, an actor's class is the class before @ray.remote), or set PYTHONBREAKPOINT in "
    "the worker's env_vars to a debugger that listens on a socket, for instance debugpy.breakpoint"
)


def install() -> None:
    """Have ``breakpoint()`` fail with advice, unless PYTHONBREAKPOINT names something that is to be called."""
    sys.breakpointhook = _refuse


def _refuse(*args: Any, **kwargs: Any) -> Any:
    if os.environ.get("PYTHONBREAKPOINT"):
        return sys.__breakpointhook__(*args, **kwargs)
    raise RuntimeError(f"breakpoint(): {_ADVICE}.")


def explained(error: BaseException) -> BaseException:
    """The error of a task, with the same advice where a debugger has found that it has no input."""
    bdb = sys.modules.get("bdb")  # of what has used no debugger, nothing is to be explained
    if bdb is None or not isinstance(error, bdb.BdbQuit):
        return error
    advice = RuntimeError(f"{type(error).__name__}: {_ADVICE}.")
    advice.__cause__ = error
    return advice.with_traceback(error.__traceback__)
