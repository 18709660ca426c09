"""The local traceback of an error as its reader is to see it: without this package's frames."""

from __future__ import annotations

import sys
import traceback
from types import TracebackType

from .remote_traceback import is_own_file

__all__ = ("render", "without_own_frames")


def without_own_frames(shown: TracebackType | None) -> TracebackType | None:
    """A traceback with the frames of everybody else; the given one is not changed."""
    parts = []
    while shown is not None:
        if not is_own_file(shown.tb_frame.f_code.co_filename):
            parts.append(shown)
        shown = shown.tb_next
    kept: TracebackType | None = None
    for part in reversed(parts):
        kept = TracebackType(kept, part.tb_frame, part.tb_lasti, part.tb_lineno)
    return kept


def render(error: BaseException) -> list[str]:
    """The lines that a notebook or another shell of IPython shows for an error."""
    kept = without_own_frames(error.__traceback__)
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython is not None else None
    if shell is None:
        return traceback.format_exception(type(error), error, kept)
    lines: list[str] = shell.InteractiveTB.structured_traceback(type(error), error, kept)
    return lines
