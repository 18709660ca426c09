"""The batches that run at a moment, or have run last."""

from __future__ import annotations

from ray_async.serve.frozen_dataclass import dataclass

__all__ = ("RunningBatches",)


@dataclass(frozen=True)
class RunningBatches:
    """When the batches that run have begun; where none runs, the last one.

    Args:
        start_times: For each batch, in seconds since the epoch.
    """

    start_times: list[float]

    @property
    def min_start_time(self) -> float | None:
        """When the first has begun; None where none has run."""
        return min(self.start_times, default=None)

    @property
    def max_start_time(self) -> float | None:
        """When the last has begun; None where none has run."""
        return max(self.start_times, default=None)

    @property
    def mean_start_time(self) -> float | None:
        """The mean of all; None where none has run."""
        return sum(self.start_times) / len(self.start_times) if self.start_times else None
