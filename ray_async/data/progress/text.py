"""Texts: a line for each operator, with a bar, amounts, rates, and what it waits for."""

from __future__ import annotations

from collections.abc import Sequence

from ray_async.data.progress.meter import Reading
from ray_async.data.progress.state import DONE, RUNNING, StageState

__all__ = ("amount", "bar", "clipped", "line_of", "lines", "size", "waits_in_words")

BAR = 20
_PARTS = " ▏▎▍▌▋▊▉█"
GREEN, BLUE, DIM, RESET = "\x1b[32m", "\x1b[34m", "\x1b[2m", "\x1b[0m"


def lines(readings: Sequence[Reading], seconds: float, width: int, *, colour: bool, title: str = "") -> list[str]:
    """A heading and a line for each stage, none longer than the width.

    Args:
        readings: the stages.
        seconds: since the run began.
        width: columns of the terminal.
        colour: whether to use ANSI colours.
        title: the dataset's name.
    """
    head = f"{title or 'Dataset'}  {_clock(seconds)}"
    length = BAR if width >= 120 else BAR // 2
    names = max([8, *(min(len(reading.state.name), max(8, width - length - 74)) for reading in readings)])
    found = [f"{DIM}{head}{RESET}" if colour else head]
    for reading in readings:
        name = clipped(reading.state.name, names).ljust(names)
        drawn = bar(reading.state.share, length)
        if colour:
            drawn = f"{GREEN if reading.state.waits == DONE else BLUE}{drawn}{RESET}"
        rest = f" {_percent(reading.state)} {_amounts(reading)}  {waits_in_words(reading.state)}"
        room = max(0, width - names - length - 1)
        found.append(f"{name} {drawn}{clipped(rest, room)}")
    return found


def line_of(readings: Sequence[Reading], seconds: float, title: str = "") -> str:
    """All in one line, for logs."""
    parts = [
        f"{reading.state.name} {_percent(reading.state).strip()} {amount(reading.state.rows)} rows "
        f"({amount(reading.rows_per_s)}/s, {waits_in_words(reading.state)})"
        for reading in readings
    ]
    return f"{title or 'Dataset'} after {_clock(seconds)}: {'; '.join(parts)}"


def bar(share: float | None, length: int = BAR) -> str:
    """A bar of so many blocks for a share between 0 and 1; dots where nobody knows the share."""
    if share is None:
        return "·" * length
    eighths = round(max(0.0, min(1.0, share)) * length * 8)
    full, part = divmod(eighths, 8)
    return ("█" * full + (_PARTS[part] if part else "")).ljust(length)


def waits_in_words(state: StageState) -> str:
    """What a stage does, or waits for."""
    if state.waits == DONE:
        return "done"
    pool = f" on {state.actors} actors" if state.actors else ""
    if state.waits == RUNNING:
        return f"{state.running} running{pool}"
    return f"waits for {state.waits}" + (f", {state.running} running" if state.running else "")


def amount(count: float) -> str:
    """A number in four characters or so.

    Example: `amount(1234567) == "1.23M"`.
    """
    for unit in ("", "k", "M", "G"):
        if count < 1000 or unit == "G":
            return f"{count:.0f}" if not unit else f"{count:.3g}{unit}"
        count /= 1000
    raise AssertionError


def size(count: float) -> str:
    """Bytes with their unit.

    Example: `size(1536) == "1.5 KiB"`.
    """
    for unit in ("B", "KiB", "MiB", "GiB"):
        if count < 1024:
            return f"{count:.0f} {unit}" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1024
    return f"{count:.1f} TiB"


def clipped(text: str, width: int) -> str:
    """A text of at most so many characters, with an ellipsis where some were left out."""
    return text if len(text) <= width else text[: max(0, width - 1)] + "…" if width else ""


def _percent(state: StageState) -> str:
    return "   ?" if state.share is None else f"{100 * state.share:3.0f}%"


def _amounts(reading: Reading) -> str:
    rows = f"{amount(reading.state.rows):>5} rows {amount(reading.rows_per_s):>5}/s"
    return f"{rows} {size(reading.bytes_per_s):>10}/s"


def _clock(seconds: float) -> str:
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(int(seconds), 60)
    return f"{minutes // 60}:{minutes % 60:02d}:{rest:02d}" if minutes >= 60 else f"{minutes}:{rest:02d}"
