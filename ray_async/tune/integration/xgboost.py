"""XGBoost integration: a callback of XGBoost that reports each round, with a checkpoint now and then and at the end."""

from __future__ import annotations

import os
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ray_async.air.checkpoint import Checkpoint
from ray_async.tune.integration.report_plan import ReportPlan

try:
    from xgboost import Booster
    from xgboost.callback import TrainingCallback
except ModuleNotFoundError as error:
    raise ImportError("this callback needs XGBoost: pip install xgboost") from error

__all__ = ("TuneReportCallback", "TuneReportCheckpointCallback")


class TuneReportCheckpointCallback(TrainingCallback):  # type: ignore[misc, unused-ignore]
    """Reports XGBoost's evaluations after each round, named ``<set>-<metric>``.

    Args:
        metrics: Names that are reported, or XGBoost's names by the reported ones; None: all.
        filename: Name of the model's file in a checkpoint.
        frequency: Rounds from one checkpoint to the next; 0: none on the way.
        checkpoint_at_end: Whether the last round has a checkpoint.
        results_postprocessing_fn: Gets the evaluations, ``{set: {metric: [values]}}``, and returns what is reported.

    Example:
        >>> xgboost.train(params, data, evals=[(test, "eval")],
        ...               callbacks=[TuneReportCheckpointCallback({"loss": "eval-logloss"})])  # doctest: +SKIP
    """

    CHECKPOINT_NAME = "model.ubj"

    def __init__(
        self,
        metrics: str | Sequence[str] | Mapping[str, str] | None = None,
        filename: str = CHECKPOINT_NAME,
        frequency: int = 0,
        checkpoint_at_end: bool = True,
        results_postprocessing_fn: Callable[[Any], dict[str, Any]] | None = None,
    ) -> None:
        self._plan = ReportPlan(metrics, frequency, checkpoint_at_end)
        self._filename = filename
        self._postprocess = results_postprocessing_fn
        # The last round's metrics wait for the next one: only then is it known that it was not the last.
        self._waiting: dict[str, Any] | None = None
        self._round = 0
        super().__init__()

    @classmethod
    def get_model(cls, checkpoint: Checkpoint, filename: str = CHECKPOINT_NAME) -> Any:
        """The model of a checkpoint.

        Args:
            checkpoint: The checkpoint.
            filename: Name of the model's file.
        """
        with checkpoint.as_directory() as folder:
            booster = Booster()
            booster.load_model(os.path.join(folder, filename))
        return booster

    def before_training(self, model: Any) -> Any:
        self._round, self._waiting = 0, None
        return model

    def after_iteration(self, model: Any, epoch: int, evals_log: Any) -> bool:
        self._round += 1
        metrics = self._plan.chosen(self._evaluations(evals_log))
        if self._plan.is_due(self._round):
            self._plan.report(metrics, self._saver(model))
            self._waiting = None
            return False
        if self._plan.at_end:
            self._waiting = metrics
        else:
            self._plan.report(metrics)
        return False

    def before_iteration(self, model: Any, epoch: int, evals_log: Any) -> bool:
        if self._waiting is not None:
            waiting, self._waiting = self._waiting, None
            self._plan.report(waiting)
        return False

    def after_training(self, model: Any) -> Any:
        if self._waiting is not None:
            waiting, self._waiting = self._waiting, None
            self._plan.report(waiting, self._saver(model))
        return model

    def _saver(self, model: Any) -> Callable[[str], None]:
        return lambda folder: model.save_model(os.path.join(folder, self._filename))

    def _evaluations(self, evals_log: Any) -> dict[str, Any]:
        if self._postprocess is not None:
            return dict(self._postprocess(evals_log))
        flat: dict[str, Any] = OrderedDict()
        for name, held in evals_log.items():
            for metric, values in held.items():
                last = values[-1]
                flat[f"{name}-{metric}"] = last[0] if isinstance(last, tuple) else last
        return flat


class TuneReportCallback(TuneReportCheckpointCallback):
    """The same without checkpoints.

    Args:
        metrics: As of `TuneReportCheckpointCallback`.
        results_postprocessing_fn: The same.
    """

    def __init__(
        self,
        metrics: str | Sequence[str] | Mapping[str, str] | None = None,
        results_postprocessing_fn: Callable[[Any], dict[str, Any]] | None = None,
    ) -> None:
        super().__init__(
            metrics, frequency=0, checkpoint_at_end=False, results_postprocessing_fn=results_postprocessing_fn
        )
