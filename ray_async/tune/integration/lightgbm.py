"""LightGBM integration: a callback of LightGBM that reports each round, with checkpoints now and then."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ray_async.air.checkpoint import Checkpoint
from ray_async.tune.integration.report_plan import ReportPlan

try:
    import lightgbm
except ModuleNotFoundError as error:
    raise ImportError("this callback needs LightGBM: pip install lightgbm") from error

__all__ = ("TuneReportCallback", "TuneReportCheckpointCallback")


class TuneReportCheckpointCallback:
    """Reports LightGBM's evaluations after each round, named ``<set>-<metric>``.

    Args:
        metrics: Names that are reported, or LightGBM's names by the reported ones; None: all.
        filename: Name of the model's file in a checkpoint.
        frequency: Rounds from one checkpoint to the next; 0: none on the way.
        checkpoint_at_end: Whether the last round has a checkpoint.
        results_postprocessing_fn: Gets the evaluations, ``{set: {metric: value}}``, and returns what is reported.

    Example:
        >>> lightgbm.train(params, data, valid_sets=[test], valid_names=["eval"],
        ...                callbacks=[TuneReportCheckpointCallback({"loss": "eval-binary_logloss"})])  # doctest: +SKIP
    """

    CHECKPOINT_NAME = "model.txt"
    # LightGBM's order of callbacks: after its own, which note the evaluations.
    order = 20

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

    @classmethod
    def get_model(cls, checkpoint: Checkpoint, filename: str = CHECKPOINT_NAME) -> Any:
        """The model of a checkpoint.

        Args:
            checkpoint: The checkpoint.
            filename: Name of the model's file.
        """
        with checkpoint.as_directory() as folder:
            return lightgbm.Booster(model_file=os.path.join(folder, filename))

    def __call__(self, env: Any) -> None:
        metrics = self._plan.chosen(self._evaluations(env))
        number = env.iteration - env.begin_iteration + 1
        is_last = env.iteration == env.end_iteration - 1
        if self._plan.is_due(number) or (is_last and self._plan.at_end):
            self._plan.report(metrics, lambda folder: self._save(env.model, folder))
        else:
            self._plan.report(metrics)

    def _save(self, model: Any, folder: str) -> None:
        model.save_model(os.path.join(folder, self._filename))

    def _evaluations(self, env: Any) -> dict[str, Any]:
        nest: dict[str, dict[str, Any]] = {}
        for name, metric, value, *further in env.evaluation_result_list or ():
            nest.setdefault(name, {})[metric] = value
            if len(further) > 1:  # of `lightgbm.cv`: the deviation
                nest[name][f"{metric}-stdv"] = further[1]
        if self._postprocess is not None:
            return dict(self._postprocess(nest))
        return {f"{name}-{metric}": value for name, held in nest.items() for metric, value in held.items()}


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
