"""Comet logger: an experiment of Comet for each trial."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from ray_async.tune.logger.logger_callback import LoggerCallback
from ray_async.tune.metric import flatten, number

if TYPE_CHECKING:
    from ray_async.tune.experiment.trial import Trial

__all__ = ("CometLoggerCallback",)

_OTHER = frozenset(("hostname", "date", "node_ip", "trial_id", "pid", "experiment_tag"))
_LEFT_OUT = frozenset(("config", "done", "should_checkpoint", "checkpoint_dir_name", "timestamp")) | _OTHER


class CometLoggerCallback(LoggerCallback):
    """Logs configs and reports to Comet. Needs comet_ml.

    Args:
        online: Whether experiments go to Comet's server at once, or to files.
        tags: Tags of all experiments.
        save_checkpoints: Whether checkpoints are uploaded as artifacts.
        experiment_kwargs: What Comet's experiment takes.

    Raises:
        ImportError: comet_ml is not installed.

    Example:
        >>> callback = CometLoggerCallback(online=False, tags=["lr"])  # doctest: +SKIP
    """

    def __init__(
        self,
        online: bool = True,
        tags: list[str] | None = None,
        save_checkpoints: bool = False,
        **experiment_kwargs: Any,
    ) -> None:
        _comet()
        self.online, self.tags = online, list(tags or ())
        self.save_checkpoints = save_checkpoints
        self.experiment_kwargs = experiment_kwargs
        self._experiments: dict[str, Any] = {}

    def log_trial_start(self, trial: Trial) -> None:
        if trial.trial_id in self._experiments:
            return
        kind = _comet().Experiment if self.online else _comet().OfflineExperiment
        experiment = kind(**self.experiment_kwargs)
        experiment.set_name(str(trial))
        experiment.add_tags(self.tags)
        experiment.log_other("Created from", "ray_async")
        experiment.log_parameters(flatten(trial.config))
        self._experiments[trial.trial_id] = experiment

    def log_trial_result(self, iteration: int, trial: Trial, result: dict[str, Any]) -> None:
        experiment = self._experiments.get(trial.trial_id)
        if experiment is None:
            return
        step = result["training_iteration"]
        experiment.log_others({name: result[name] for name in sorted(_OTHER) if name in result})
        metrics = {
            name: found
            for name, value in flatten(result).items()
            if name.partition("/")[0] not in _LEFT_OUT and (found := number(value)) is not None
        }
        experiment.log_metrics(metrics, step=step)

    def log_trial_save(self, trial: Trial) -> None:
        experiment = self._experiments.get(trial.trial_id)
        if experiment is None or not self.save_checkpoints or trial.checkpoint is None:
            return
        artifact = _comet().Artifact(name=f"checkpoint_{trial.trial_id}", artifact_type="model")
        artifact.add(trial.checkpoint.path)
        experiment.log_artifact(artifact)

    def log_trial_end(self, trial: Trial, failed: bool = False) -> None:
        experiment = self._experiments.pop(trial.trial_id, None)
        if experiment is not None:
            experiment.end()

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_experiments": {}}


def _comet() -> Any:
    try:
        return import_module("comet_ml")
    except ModuleNotFoundError as error:
        raise ImportError("Comet is needed: pip install comet-ml") from error
