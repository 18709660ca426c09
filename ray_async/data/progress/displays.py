"""Displays: a terminal, whose lines are drawn anew; a log, which gets a line now and then; a notebook's cell."""

from __future__ import annotations

import html
import shutil
import sys
from collections.abc import Sequence
from typing import Any, Protocol, TextIO

from ray_async.data.progress.meter import Reading
from ray_async.data.progress.text import amount, line_of, lines, size, waits_in_words

__all__ = ("Display", "LogDisplay", "NotebookDisplay", "TerminalDisplay", "display_for")


class Display(Protocol):
    """Where progress is shown.

    Attributes:
        pause: seconds between two pictures.
        patience: seconds of a run before the first: what is over by then is not worth a picture.
    """

    pause: float
    patience: float

    def show(self, readings: Sequence[Reading], seconds: float, title: str, *, last: bool) -> None:
        """Show the state of a run that has taken so many seconds; the last picture stays."""
        ...


class TerminalDisplay:
    """Lines that are drawn over the ones before.

    Args:
        stream: the terminal.
    """

    pause, patience = 0.1, 0.5

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._drawn = 0

    def show(self, readings: Sequence[Reading], seconds: float, title: str, *, last: bool) -> None:
        width, height = shutil.get_terminal_size((100, 24))
        found = lines(readings, seconds, max(40, width - 1), colour=True, title=title)
        if len(found) > height - 1:
            found = [*found[: height - 2], f"… {len(found) - height + 2} more"]
        up = f"\x1b[{self._drawn}F" if self._drawn else ""
        self._stream.write(up + "".join(f"\x1b[2K{line}\n" for line in found) + ("" if last else "\x1b[0J"))
        self._stream.flush()
        self._drawn = len(found)


class LogDisplay:
    """A plain line now and then, for what is no terminal.

    Args:
        stream: the log.
    """

    pause, patience = 10.0, 10.0

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def show(self, readings: Sequence[Reading], seconds: float, title: str, *, last: bool) -> None:
        self._stream.write(line_of(readings, seconds, title) + "\n")
        self._stream.flush()


class NotebookDisplay:
    """A table in the output of a notebook's cell.

    Args:
        display: IPython's function of that name.
    """

    pause, patience = 0.25, 0.5

    def __init__(self, display: Any) -> None:
        self._display = display
        self._handle: Any = None

    def show(self, readings: Sequence[Reading], seconds: float, title: str, *, last: bool) -> None:
        shown = Table(readings, seconds, title)
        if self._handle is None:
            self._handle = self._display(shown, display_id=True)
        else:
            self._handle.update(shown)


class Table:
    """Progress as IPython shows objects: as HTML, or as text."""

    def __init__(self, readings: Sequence[Reading], seconds: float, title: str) -> None:
        self._readings, self._seconds, self._title = readings, seconds, title

    def __repr__(self) -> str:
        return "\n".join(lines(self._readings, self._seconds, 120, colour=False, title=self._title))

    def _repr_html_(self) -> str:
        rows = "".join(_html_row(reading) for reading in self._readings)
        head = f"{html.escape(self._title or 'Dataset')}, {self._seconds:.1f} s"
        return f"<table><caption>{head}</caption>{rows}</table>"


def _html_row(reading: Reading) -> str:
    state = reading.state
    value = "" if state.share is None else f' value="{state.share:.3f}"'
    cells = [
        html.escape(state.name),
        f"<progress{value}></progress>",
        f"{amount(state.rows)} rows, {amount(reading.rows_per_s)}/s",
        f"{size(state.bytes)}, {size(reading.bytes_per_s)}/s",
        html.escape(waits_in_words(state)),
    ]
    return "<tr>" + "".join(f"<td>{cell}</td>" for cell in cells) + "</tr>"


def display_for(stream: TextIO | None = None) -> Display | None:
    """The display that fits where this process runs; None without a standard error."""
    shell = sys.modules["IPython"].get_ipython() if "IPython" in sys.modules else None
    if shell is not None and type(shell).__name__ == "ZMQInteractiveShell":
        from IPython.display import display

        return NotebookDisplay(display)
    found = stream if stream is not None else sys.stderr
    if found is None:
        return None
    return TerminalDisplay(found) if found.isatty() else LogDisplay(found)
