"""Notices of deaths that no result shows: a task that is run again, an actor that starts anew without its state."""

from __future__ import annotations

import time
from collections.abc import Callable

from ray_async.config import DEDUP_LOGS, DEDUP_LOGS_AGG_WINDOW_S, LOG_SURVIVED_DEATHS, Settings

__all__ = ("SurvivedDeaths",)


class _Alike:
    """Notices of one kind that were held back since the first of them was sent."""

    __slots__ = ("count", "last", "since")

    def __init__(self, since: float) -> None:
        self.since = since
        self.count = 0
        self.last = ""


class SurvivedDeaths:
    """Sends one line for each death that is survived: what died, of what, and how many tries remain.

    The first of several alike (same task or class, same cause) is sent at once; the others of the next seconds are
    counted and reported in one line.

    Args:
        send: takes a job's number and a line for its driver.
        settings: ``log_survived_deaths`` switches the lines off; ``dedup_logs`` and ``dedup_logs_agg_window_s`` count
            for them as for lines of workers.
        clock: monotonic time in seconds.
    """

    def __init__(
        self, send: Callable[[int, str], None], settings: Settings, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._send = send
        self._clock = clock
        self._enabled = settings.get(LOG_SURVIVED_DEATHS)
        self._window_s = settings.get(DEDUP_LOGS_AGG_WINDOW_S) if settings.get(DEDUP_LOGS) else 0.0
        self._alike: dict[tuple[int, str, str], _Alike] = {}

    def task_retried(self, job: int, name: str, pid: int, cause: str, left: int) -> None:
        """The worker of a task has died, and the task is run again.

        Args:
            job: number of the job.
            name: the task's.
            pid: the worker's.
            cause: of the death, in a few words.
            left: retries that remain; -1 has no limit.
        """
        subject = f"task {name}"
        text = f"{subject} (pid={pid}) died: {cause}. It is run again; {_remaining(left, 'retry', 'retries')}."
        self._notice(job, subject, cause, text)

    def actor_restarted(self, job: int, name: str, actor_id: str, pid: int, cause: str, left: int) -> None:
        """The process of an actor has died, and the actor is restarted; arguments as for tasks."""
        subject = f"actor {name}"
        text = (
            f"{subject} ({actor_id}, pid={pid}) died: {cause}. It is restarted and has lost its state; "
            f"{_remaining(left, 'restart', 'restarts')}."
        )
        self._notice(job, subject, cause, text)

    def tick(self) -> None:
        """Send what was held back for long enough."""
        now = self._clock()
        self._flush([key for key, alike in self._alike.items() if now - alike.since >= self._window_s])

    def flush(self) -> None:
        """Send all that was held back."""
        self._flush(list(self._alike))

    def _notice(self, job: int, subject: str, cause: str, text: str) -> None:
        if not self._enabled:
            return
        key = (job, subject, cause)
        alike = self._alike.get(key)
        if alike is not None and self._clock() - alike.since < self._window_s:
            alike.count += 1
            alike.last = text
            return
        if alike is not None:
            self._flush([key])
        if self._window_s > 0:
            self._alike[key] = _Alike(self._clock())
        self._send(job, text)

    def _flush(self, keys: list[tuple[int, str, str]]) -> None:
        for key in keys:
            alike = self._alike.pop(key)
            if alike.count == 1:
                self._send(key[0], alike.last)
            elif alike.count:
                self._send(key[0], f"{alike.last} [{alike.count} such deaths of {key[1]} in {self._window_s:g} s]")


def _remaining(left: int, one: str, many: str) -> str:
    if left < 0:
        return f"{many} have no limit"
    return f"{left} {one if left == 1 else many} left"
