"""The text of a remote traceback: user frames only, chains kept, bounded in size."""

from __future__ import annotations

import os
from collections.abc import Iterator
from traceback import FrameSummary, StackSummary, TracebackException

from .base import RayError

__all__ = ("DEPENDENCY_LINE", "HEADER", "MAX_BYTES", "clip", "format_remote")

HEADER = "Traceback (most recent call last):"
DEPENDENCY_LINE = "  At least one of the input arguments for this task could not be computed:"
MAX_BYTES = 512 * 1024

_PACKAGE = os.path.dirname(os.path.dirname(os.path.abspath(__file__))) + os.sep
# Compiled modules name their source relative to the folder they were built in.
_COMPILED = os.path.join("ray_async", "_core") + os.sep
_PICKLER = os.path.join("cloudpickle", "cloudpickle.py")
_RUNNERS = tuple(os.path.join(os.path.dirname(os.__file__), part) + os.sep for part in ("asyncio", "concurrent"))


def format_remote(error: BaseException, *, max_bytes: int = MAX_BYTES) -> str:
    """Text of `error` and its `__cause__`/`__context__` chain without this package's own frames.

    The first line is always `HEADER`, also for an error that was never raised.

    Args:
        max_bytes: upper bound in bytes of UTF-8; what lies in the middle is left out.
    """
    report = TracebackException.from_exception(error, compact=True)
    explained = isinstance(error, TypeError | ValueError | RayError)
    for part in _chain(report):
        part.stack = _user_frames(part.stack, explained)
    text = "".join(report.format()).rstrip("\n")
    if not text.startswith(HEADER):
        if isinstance(error, BaseExceptionGroup):
            # Groups draw a margin to the left of everything, and their own header within it.
            text = text.replace("  + Exception Group " + HEADER, HEADER, 1)
        if not text.startswith(HEADER):
            text = f"{HEADER}\n{text}"
    return clip(text, max_bytes)


def clip(text: str, max_bytes: int = MAX_BYTES) -> str:
    """`text` with its middle left out where it is longer than `max_bytes` bytes of UTF-8."""
    data = text.encode("utf-8", "backslashreplace")
    if len(data) <= max_bytes:
        return text
    note = f"\n... {len(data) - max_bytes} bytes left out ...\n".encode()
    half = max(0, max_bytes - len(note)) // 2
    tail = data[len(data) - half :]
    return (data[:half] + note + tail).decode("utf-8", "ignore")


def _chain(report: TracebackException) -> Iterator[TracebackException]:
    pending: list[TracebackException | None] = [report]
    seen: set[int] = set()
    while pending:
        part = pending.pop()
        if part is None or id(part) in seen:
            continue
        seen.add(id(part))
        yield part
        pending += [part.__cause__, part.__context__, *(part.exceptions or ())]


def _user_frames(stack: StackSummary, explained: bool) -> StackSummary:
    frames: list[FrameSummary] = []
    for frame in stack:
        # Thread pools, event loops and the pickler are ours only where they stand between us and the user's function.
        if _is_own(frame) or (not frames and (frame.filename.startswith(_RUNNERS) or _is_core(frame))):
            continue
        frames.append(frame)
    # What the core says of a value, of a result for instance, is about the value and not about where the core looked.
    if frames or (explained and all(_is_core(frame) for frame in stack)):
        return StackSummary.from_list(frames)
    # Any other error from inside this package with no user frame at all is ours to explain: keep every frame.
    return stack


def _is_core(frame: FrameSummary) -> bool:
    return frame.filename.startswith(_COMPILED) or frame.filename.endswith(_PICKLER)


def _is_own(frame: FrameSummary) -> bool:
    return frame.filename.startswith((_PACKAGE, _COMPILED))
