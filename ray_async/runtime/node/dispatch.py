"""Dispatch between the scheduler, which decides, and the parts of the node, which act."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable

from ray_async.runtime.node.guard import guarded
from ray_async.runtime.scheduler import events
from ray_async.runtime.scheduler.instructions import Instruction
from ray_async.runtime.scheduler.report import Report
from ray_async.runtime.scheduler.scheduler import Scheduler

__all__ = ("LONGEST_TICK_S", "Dispatch")

_logger = logging.getLogger("ray_async.node")

#: Seconds between ticks of a node where nothing happens; what the scheduler has to do later is done at a tick.
LONGEST_TICK_S = 4.0


class Dispatch:
    """Hands events to the scheduler at once, and its instructions to whoever carries them out.

    Args:
        scheduler: decides, without any I/O.
        carry_out: does what an instruction says. One that fails does not take the others along.
        refresh: reports to the scheduler what has changed unseen; called before it acts because time has passed.
    """

    def __init__(
        self, scheduler: Scheduler, carry_out: Callable[[Instruction], None], refresh: Callable[[], None]
    ) -> None:
        self._scheduler = scheduler
        self._carry_out = carry_out
        self._refresh = refresh
        self._timer: asyncio.TimerHandle | None = None

    @property
    def report(self) -> Report:
        """Answers about the scheduler's state."""
        return self._scheduler.report

    def schedule(self, event: events.Event) -> None:
        """Hand an event to the scheduler and carry out what it wants."""
        for instruction in self._scheduler.handle(event, time.monotonic()):
            try:
                self._carry_out(instruction)
            except Exception:  # what it meets in the arena is other processes' doing
                _logger.exception("instruction %s failed", instruction)
        self._set_timer()

    def tick(self) -> None:
        """Time has passed: let the scheduler act on that."""
        self._refresh()
        guarded(self.schedule, events.Tick())

    def later(self, seconds: float, action: Callable[[], None]) -> None:
        """Call something in a while."""
        asyncio.get_running_loop().call_later(seconds, action)

    def _set_timer(self) -> None:
        due = self._scheduler.next_wakeup()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if due is not None:
            delay = max(0.0, due - time.monotonic())
            if delay < LONGEST_TICK_S:
                self._timer = asyncio.get_event_loop().call_later(delay, self._wake_up)

    def _wake_up(self) -> None:
        self._timer = None
        self._refresh()
        self.schedule(events.Tick())
