"""Ended trials, as snapshots hold them: each is pickled once, soon after its end, and not again for each snapshot.

A search has thousands of them, and whatever pickles them all at once keeps its workers waiting meanwhile.
"""

from __future__ import annotations

from collections.abc import Iterator

from ray_async.tune.experiment.trial import Trial
from ray_async.tune.journal.pickling import dumps

__all__ = ("EndedTrials",)

# Trials in one pickle; a pickler remembers all that it has seen.
CHUNK = 64


class EndedTrials:
    """Trials that stand alone, in pickles of several."""

    def __init__(self) -> None:
        self._known: set[str] = set()
        self._fresh: list[Trial] = []
        self._chunks: list[bytes] = []
        self._failure: Exception | None = None

    def add(self, trial: Trial) -> None:
        """Take a trial that has ended; one that shares something with others is left to each snapshot.

        Args:
            trial: The trial.
        """
        if not trial.stands_alone or trial.trial_id in self._known or self._failure is not None:
            return
        self._known.add(trial.trial_id)
        self._fresh.append(trial)
        if len(self._fresh) == CHUNK:
            try:
                self._chunks.append(self._pickled())
            except Exception as error:  # whatever a class of the user's says of being pickled: `pickles` raises it
                self._failure = error
            self._fresh.clear()

    def pickles(self, trials: dict[str, Trial]) -> Iterator[bytes]:
        """All of them, as pickled lists of `Trial.packed`.

        One that has come to share something since it was taken is among them as it was.

        Args:
            trials: All trials of the search, by id.

        Raises:
            Exception: One cannot be pickled.
        """
        for trial in trials.values():
            self.add(trial)
        if self._failure is not None:
            raise self._failure
        yield from self._chunks
        yield self._pickled()

    def _pickled(self) -> bytes:
        return dumps([trial.packed() for trial in self._fresh])
