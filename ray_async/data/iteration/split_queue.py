"""The queues of a streaming split: which bundle goes to which part. No I/O; time is not known."""

from __future__ import annotations

from collections import deque

from ray_async.data.block.bundle import RowBundle

__all__ = ("SplitQueue",)


class SplitQueue:
    """Bundles on their way to the parts of one epoch.

    Args:
        parts: how many parts.
        equal: whether all parts get the same number of rows; rows that are over at the end are left out. Else a bundle
            goes to whoever asks first.
    """

    def __init__(self, parts: int, equal: bool) -> None:
        self._equal = equal
        self._queues: list[deque[RowBundle]] = [deque() for _ in range(parts)]
        self._rest = RowBundle(())

    def take(self, part: int) -> RowBundle | None:
        """The next bundle for a part, if it is there."""
        queue = self._queues[part]
        return queue.popleft() if queue else None

    def put(self, bundle: RowBundle, asked_by: int) -> None:
        """A bundle that has come because a part asked for it."""
        if not self._equal:
            self._queues[asked_by].append(bundle)
            return
        whole = RowBundle.of([self._rest, bundle]) if self._rest.rows else bundle
        count = len(self._queues)
        size = whole.rows // count
        pieces = whole.cut([size] * count)
        for queue, piece in zip(self._queues, pieces, strict=True):
            if piece.rows:
                queue.append(piece)
        self._rest = whole.part(size * count, whole.rows)

    def waiting_bytes(self, part: int) -> int:
        """Bytes that wait for a part."""
        return sum(bundle.bytes for bundle in self._queues[part])

    def slowest(self, part: int) -> int | None:
        """Another part for which the most bytes wait; None if nothing waits for others."""
        others = [index for index in range(len(self._queues)) if index != part and self._queues[index]]
        return max(others, key=self.waiting_bytes) if others else None
