"""The meter: rates and waits made of samples. It knows no clock: times are given."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass

from ray_async.data.progress.state import DONE, RUNNING, StageState

__all__ = ("Meter", "Reading")

#: Seconds over which a rate is taken.
WINDOW_S = 5.0


@dataclass(frozen=True)
class Reading:
    """A stage's state with its rates.

    Attributes:
        state: the state.
        rows_per_s: rows a second, of the last seconds; of all of its time when it is done.
        bytes_per_s: the same of bytes.
    """

    state: StageState
    rows_per_s: float
    bytes_per_s: float


class Meter:
    """Keeps the samples of the last seconds, and how long each stage has waited for what.

    Attributes:
        waits: for each stage by its place, seconds by what it waited for.
    """

    def __init__(self) -> None:
        self.waits: list[dict[str, float]] = []
        self.names: list[str] = []
        self._samples: deque[tuple[float, Sequence[StageState]]] = deque()
        self._spans: list[tuple[float | None, float]] = []
        self._last: float | None = None

    def sample(self, states: Sequence[StageState], now: float) -> None:
        """Note the states at a time, in seconds."""
        if not self.waits:
            self.waits = [{} for _ in states]
            self.names = [state.name for state in states]
            self._spans = [(None, now) for _ in states]
        passed = 0.0 if self._last is None else max(0.0, now - self._last)
        self._last = now
        for index, state in enumerate(states):
            waits = self.waits[index]
            if state.waits not in (RUNNING, DONE):
                waits[state.waits] = waits.get(state.waits, 0.0) + passed
            first, last = self._spans[index]
            if first is None and (state.running or state.rows):
                first = now - passed
            over = state.waits == DONE and self._samples and self._samples[-1][1][index].waits == DONE
            self._spans[index] = (first, last if over else now)
        self._samples.append((now, states))
        while len(self._samples) > 2 and now - self._samples[1][0] >= WINDOW_S:
            self._samples.popleft()

    def readings(self) -> list[Reading]:
        """The last states with their rates."""
        if not self._samples:
            return []
        (before, old), (now, new) = self._samples[0], self._samples[-1]
        found = []
        for index, state in enumerate(new):
            first, last = self._spans[index]
            if state.waits == DONE and first is not None:
                found.append(_reading(state, state.rows, state.bytes, last - first))
            else:
                found.append(
                    _reading(state, state.rows - old[index].rows, state.bytes - old[index].bytes, now - before)
                )
        return found


def _reading(state: StageState, rows: int, size: int, seconds: float) -> Reading:
    return Reading(state, rows / seconds, size / seconds) if seconds > 0 else Reading(state, 0.0, 0.0)
