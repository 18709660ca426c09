"""Experiment analysis: the trials of a search, as `tune.run` returns them."""

from __future__ import annotations

import logging
import os
from typing import Any

from ray_async.air.checkpoint import Checkpoint
from ray_async.tune.experiment.trial import Trial
from ray_async.tune.metric import check_mode, flatten
from ray_async.tune.results.result_grid import ResultGrid
from ray_async.tune.results.scoring import best_of
from ray_async.tune.storage.fetching import fetched
from ray_async.tune.storage.remote_storage import RemoteStorage
from ray_async.tune.tune_config import TuneConfig

__all__ = ("ExperimentAnalysis",)

_logger = logging.getLogger("ray_async.tune")


class ExperimentAnalysis(ResultGrid):
    """Trials of a search and what they have reported; results by index too, as of a `ResultGrid`.

    Args:
        experiment_checkpoint_path: The experiment's directory.
        storage_filesystem: A file system of pyarrow or fsspec for that path.
        trials: The trials; read from the directory by default.
        default_metric: The metric for all questions that name none.
        default_mode: ``"min"`` or ``"max"``, for all questions that name none.
    """

    def __init__(
        self,
        experiment_checkpoint_path: str | os.PathLike[str],
        *,
        storage_filesystem: Any = None,
        trials: list[Trial] | None = None,
        default_metric: str | None = None,
        default_mode: str | None = None,
        _storage: RemoteStorage | None = None,
    ) -> None:
        check_mode(default_mode)
        path, storage = os.fspath(experiment_checkpoint_path), _storage
        if storage is None:
            path, storage = fetched(path, storage_filesystem)
        self._config: TuneConfig | None = None
        if trials is None:
            from ray_async.tune.execution.restoring import trials_of

            trials, self._config = trials_of(path)
            default_metric = default_metric or self._config.metric
            default_mode = default_mode or self._config.mode
        super().__init__(trials, path, default_metric, default_mode, storage)
        self.default_metric, self.default_mode = default_metric, default_mode

    @property
    def trials(self) -> list[Trial]:
        """The trials."""
        return self._trials

    @property
    def best_trial(self) -> Trial:
        """The best trial, by the search's metric and mode.

        Raises:
            ValueError: The search had none.
        """
        self._need_defaults("best_trial", "get_best_trial(metric, mode)")
        trial = self.get_best_trial()
        if trial is None:
            raise ValueError(f"no trial has reported a number for the metric {self.default_metric!r}")
        return trial

    @property
    def best_config(self) -> dict[str, Any]:
        """The best trial's config."""
        self._need_defaults("best_config", "get_best_config(metric, mode)")
        return self.best_trial.config

    @property
    def best_result(self) -> dict[str, Any]:
        """The best trial's last result."""
        return self.best_trial.last_result

    @property
    def best_checkpoint(self) -> Checkpoint | None:
        """The best trial's best checkpoint."""
        return self.get_best_checkpoint(self.best_trial)

    @property
    def best_dataframe(self) -> Any:
        """All results of the best trial, as a frame of pandas."""
        return self.trial_dataframes[self.best_trial.trial_id]

    @property
    def best_result_df(self) -> Any:
        """The best trial's last result, as a frame of one row."""
        import pandas

        return pandas.DataFrame([flatten(self.best_result)])

    @property
    def results(self) -> dict[str, dict[str, Any]]:
        """The last results, by trial id."""
        return {trial.trial_id: trial.last_result for trial in self._trials}

    @property
    def results_df(self) -> Any:
        """The last results as a frame, a row for each trial."""
        import pandas

        rows = [flatten(trial.last_result) for trial in self._trials]
        return pandas.DataFrame(rows, index=[trial.trial_id for trial in self._trials])

    @property
    def trial_dataframes(self) -> dict[str, Any]:
        """All results of each trial as a frame, by trial id."""
        frames = {}
        for trial, result in zip(self._trials, self, strict=True):
            frames[trial.trial_id] = result.metrics_dataframe
        return frames

    def dataframe(self, metric: str | None = None, mode: str | None = None) -> Any:
        """A row for each trial: its last result, or the one whose metric is best.

        Args:
            metric: The metric's name; None takes the last results.
            mode: ``"min"`` or ``"max"``.

        Raises:
            ValueError: A metric without a mode.
        """
        if metric is not None and mode is None:
            raise ValueError("give a mode with the metric: 'min' or 'max'")
        return self.get_dataframe(metric, mode)

    def get_all_configs(self, prefix: bool = False) -> dict[str, dict[str, Any]]:
        """Configs by trial id.

        Args:
            prefix: Whether keys begin with ``config/``.
        """
        configs = {trial.trial_id: trial.config for trial in self._trials}
        if not prefix:
            return configs
        return {trial: {f"config/{key}": value for key, value in config.items()} for trial, config in configs.items()}

    def get_best_trial(
        self,
        metric: str | None = None,
        mode: str | None = None,
        scope: str = "last",
        filter_nan_and_inf: bool = True,
    ) -> Trial | None:
        """The trial whose metric is best.

        Args:
            metric: The metric's name; that of the search by default.
            mode: ``"min"`` or ``"max"``; that of the search by default.
            scope: What is compared: ``"last"``, ``"all"``, ``"avg"``, ``"last-5-avg"`` or ``"last-10-avg"``.
            filter_nan_and_inf: Whether trials whose value is NaN, or infinitely bad, are left out.

        Returns:
            The trial; None, with a warning, if no trial has the metric.

        Raises:
            ValueError: No metric or mode is known, or a mode or scope that there is not.
        """
        if len(self._trials) == 1:
            return self._trials[0]
        metric, mode = self._metric_and_mode(metric, mode)
        best = best_of(self._trials, metric, mode, scope, filter_nan_and_inf)
        if best is None:
            _logger.warning("no best trial: none has reported a number for the metric %r", metric)
        return best

    def get_best_config(
        self, metric: str | None = None, mode: str | None = None, scope: str = "last"
    ) -> dict[str, Any] | None:
        """The config of the trial whose metric is best: see `get_best_trial`."""
        best = self.get_best_trial(metric, mode, scope)
        return best.config if best is not None else None

    def get_best_checkpoint(
        self, trial: Trial, metric: str | None = None, mode: str | None = None
    ) -> Checkpoint | None:
        """The checkpoint of a trial whose metric is best, NaN never; None if there is none.

        Args:
            trial: The trial.
            metric: The metric's name; that of the search by default.
            mode: ``"min"`` or ``"max"``; that of the search by default.
        """
        metric, mode = self._metric_and_mode(metric, mode)
        record = trial.checkpoints.best(metric, mode)
        return record.checkpoint if record is not None else None

    def get_last_checkpoint(
        self, trial: Trial | None = None, metric: str = "training_iteration", mode: str = "max"
    ) -> Checkpoint | None:
        """The last checkpoint of a trial.

        Args:
            trial: The trial; the best one by default.
            metric: The metric by which the last one is told.
            mode: ``"min"`` or ``"max"``.
        """
        return self.get_best_checkpoint(trial or self.best_trial, metric, mode)

    def _metric_and_mode(self, metric: str | None, mode: str | None) -> tuple[str, str]:
        metric, mode = metric or self.default_metric, mode or self.default_mode
        if metric is None:
            raise ValueError("no metric is known: give one here, or to tune.run")
        if mode is None:
            raise ValueError("no mode is known: give 'min' or 'max' here, or to tune.run")
        check_mode(mode)
        return metric, mode

    def _need_defaults(self, name: str, instead: str) -> None:
        if self.default_metric is None or self.default_mode is None:
            raise ValueError(f"{name} needs the search's metric and mode: give them to tune.run, or call {instead}")

    def __repr__(self) -> str:
        return f"ExperimentAnalysis({len(self)} trials in {self._path!r})"
