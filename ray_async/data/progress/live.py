"""Live progress: samples a run again and again on its event loop, and shows it."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Callable

from ray_async.data.context import DataContext
from ray_async.data.executor.machine import Machine
from ray_async.data.progress.displays import Display, display_for
from ray_async.data.progress.meter import Meter, Reading
from ray_async.data.progress.state import DONE, StageState, states_of

__all__ = ("LiveProgress", "wanted_display")

SAMPLE_S = 0.1
OFF = "RAY_DATA_DISABLE_PROGRESS_BARS"


def wanted_display(context: DataContext) -> Display | None:
    """The display that the settings ask for; None where progress is off."""
    if not context.enable_progress_bars or os.environ.get(OFF, "0") not in ("", "0"):
        return None
    return display_for()


class LiveProgress:
    """Samples of one run, and a display of them.

    Args:
        machine: of the run.
        display: where it is shown; None only measures.
        title: the dataset's name.
        each: whether each operator has a line of its own, rather than all together.
        clock: seconds of a steady clock.

    Attributes:
        meter: what was measured.
    """

    def __init__(
        self,
        machine: Machine,
        display: Display | None,
        title: str = "",
        *,
        each: bool = True,
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        self.meter = Meter()
        self._machine = machine
        self._display = display
        self._title = title
        self._each = each
        self._clock = clock
        self._began = clock()
        self._shown: float | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._closed = False

    def start(self) -> None:
        """Begin to sample on the running event loop."""
        self.sample()
        self._timer = asyncio.get_running_loop().call_later(SAMPLE_S, self.start)

    def sample(self) -> None:
        """Look at the run, and show it when it is time to."""
        now = self._clock()
        states = states_of(self._machine)
        self.meter.sample(states if self._each else [_together(states)], now)
        display = self._display
        if display is None:
            return
        since = now - (self._began if self._shown is None else self._shown)
        if since >= (display.patience if self._shown is None else display.pause):
            self._show(display, now, last=False)

    def close(self) -> None:
        """Stop; what was shown is shown a last time."""
        if self._closed:
            return
        self._closed = True
        if self._timer is not None:
            self._timer.cancel()
        now = self._clock()
        states = states_of(self._machine)
        self.meter.sample(states if self._each else [_together(states)], now)
        if self._display is not None and self._shown is not None:
            self._show(self._display, now, last=True)

    def _show(self, display: Display, now: float, *, last: bool) -> None:
        readings: list[Reading] = self.meter.readings()
        if not readings:
            return
        self._shown = now
        display.show(readings, now - self._began, self._title, last=last)


def _together(states: list[StageState]) -> StageState:
    """One line for a whole plan: the rows of its end, and how much of all stages is done."""
    if not states:
        return StageState("Dataset", 0, 0, 0, None, None, DONE)
    shares = [state.share for state in states if state.share is not None]
    share = sum(shares) / len(states) if len(shares) == len(states) else None
    running = sum(state.running for state in states)
    end = states[-1]
    return StageState("all operators", end.rows, end.bytes, running, None, share, end.waits)
