"""User callback: the interface of what wants to know how a training run goes on."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ray_async.air.checkpoint import Checkpoint

__all__ = ("UserCallback",)


class UserCallback:
    """Interface of callbacks in ``RunConfig(callbacks=[...])`` of a trainer; they are called where `fit` is."""

    def after_report(self, run_context: Any, metrics: list[dict[str, Any]], checkpoint: Checkpoint | None) -> None:
        """All workers have reported.

        Args:
            run_context: The run's settings.
            metrics: What each has reported, by rank.
            checkpoint: The checkpoint, if there was one.
        """

    def after_exception(self, run_context: Any, worker_exceptions: Mapping[int, BaseException]) -> None:
        """Workers have failed.

        Args:
            run_context: The run's settings.
            worker_exceptions: The failures by rank.
        """
