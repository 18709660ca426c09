"""Waiting trials: those that could start or go on, in the order in which they were made."""

from __future__ import annotations

import heapq

from ray_async.tune.experiment.trial import Trial

__all__ = ("WaitingTrials",)


class WaitingTrials:
    """Trials by number: pending ones come before paused ones.

    Entries are not removed when a trial starts or ends, but passed over when they come up.
    """

    def __init__(self) -> None:
        self._heaps: dict[str, list[tuple[int, int, Trial]]] = {Trial.PENDING: [], Trial.PAUSED: []}
        # Tells entries of one trial apart.
        self._count = 0

    def add(self, trial: Trial) -> None:
        """Note that a trial waits, as its status says.

        Args:
            trial: The trial.
        """
        self._count += 1
        heapq.heappush(self._heaps[trial.status], (trial.number, self._count, trial))

    def first(self) -> Trial | None:
        """The first one that can start now; it stays in its place until its status is another."""
        return self._first_pending() or self._first_paused()

    def _first_pending(self) -> Trial | None:
        heap = self._heaps[Trial.PENDING]
        while heap:
            if heap[0][2].status == Trial.PENDING:
                return heap[0][2]
            heapq.heappop(heap)
        return None

    def _first_paused(self) -> Trial | None:
        heap = self._heaps[Trial.PAUSED]
        saving = []
        found = None
        while heap and found is None:
            if heap[0][2].status != Trial.PAUSED:
                heapq.heappop(heap)
            elif heap[0][2].is_saving:
                saving.append(heapq.heappop(heap))
            else:
                found = heap[0][2]
        for entry in saving:
            heapq.heappush(heap, entry)
        return found
