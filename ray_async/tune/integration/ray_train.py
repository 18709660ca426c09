"""Reports of a trainer that a trial runs by itself, passed on to the trial."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ray_async.air.checkpoint import Checkpoint
from ray_async.air.session import report

__all__ = ("TuneReportCallback",)


class TrainerReportCallback:
    """Passes what rank 0 reports on to the trial whose function calls ``trainer.fit()``.

    Example:
        >>> def trial(config):
        ...     run = train.RunConfig(callbacks=[TrainerReportCallback()])
        ...     DataParallelTrainer(loop, train_loop_config=config, run_config=run).fit()
    """

    def after_report(self, run_context: Any, metrics: list[dict[str, Any]], checkpoint: Checkpoint | None) -> None:
        """Pass a report on.

        Args:
            run_context: The run's settings.
            metrics: What each worker has reported, by rank.
            checkpoint: The checkpoint, if there was one.
        """
        report(metrics[0], checkpoint=checkpoint)

    def after_exception(self, run_context: Any, worker_exceptions: Mapping[int, BaseException]) -> None:
        """Nothing: a failure that ends `fit` is the trial's.

        Args:
            run_context: The run's settings.
            worker_exceptions: The failures by rank.
        """


# The name that programs of Ray import from here.
TuneReportCallback = TrainerReportCallback
