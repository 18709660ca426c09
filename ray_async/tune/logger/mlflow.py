"""MLflow logger: a run of MLflow for each trial."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from ray_async.tune.logger.logger_callback import LoggerCallback
from ray_async.tune.logger.other_ranks import NoRun, is_other_rank
from ray_async.tune.metric import flatten, number

if TYPE_CHECKING:
    from ray_async.tune.experiment.trial import Trial

__all__ = ("MLflowLoggerCallback", "setup_mlflow")

_LEFT_OUT = frozenset(("config", "pid", "done", "timestamp", "hostname", "node_ip", "trial_id", "date"))


class MLflowLoggerCallback(LoggerCallback):
    """Logs configs as parameters and reports as metrics to MLflow. Needs mlflow or mlflow-skinny.

    Args:
        tracking_uri: Where MLflow's runs go; None: as MLflow is set.
        registry_uri: Where its models go.
        experiment_name: The experiment, made if it is not there; None: ``experiment_id``, or MLflow's own.
        experiment_id: The experiment's id.
        tags: Tags of all runs.
        tracking_token: Token for the tracking server.
        save_artifact: Whether the files in a trial's directory are logged at its end.
        log_params_on_trial_end: Whether parameters are logged at a trial's end.

    Raises:
        ImportError: MLflow is not installed.

    Example:
        >>> callback = MLflowLoggerCallback(experiment_name="lr")  # doctest: +SKIP
    """

    def __init__(
        self,
        tracking_uri: str | None = None,
        *,
        registry_uri: str | None = None,
        experiment_name: str | None = None,
        experiment_id: str | None = None,
        tags: dict[str, Any] | None = None,
        tracking_token: str | None = None,
        save_artifact: bool = False,
        log_params_on_trial_end: bool = False,
    ) -> None:
        _mlflow()
        self.tracking_uri, self.registry_uri = tracking_uri, registry_uri
        self.experiment_name, self.experiment_id = experiment_name, experiment_id
        self.tags = dict(tags or {})
        self.tracking_token = tracking_token
        self.should_save_artifact = save_artifact
        self.log_params_on_trial_end = log_params_on_trial_end
        self._client: Any = None
        self._runs: dict[str, str] = {}

    def setup(self, *args: Any, **kwargs: Any) -> None:
        if self.tracking_token:
            import os

            os.environ["MLFLOW_TRACKING_TOKEN"] = self.tracking_token
        self._client = _mlflow().MlflowClient(tracking_uri=self.tracking_uri, registry_uri=self.registry_uri)
        if self.experiment_name is not None:
            found = self._client.get_experiment_by_name(self.experiment_name)
            known = found.experiment_id if found is not None else None
            self.experiment_id = known or self._client.create_experiment(self.experiment_name)
        self.experiment_id = self.experiment_id or "0"

    def log_trial_start(self, trial: Trial) -> None:
        if trial.trial_id in self._runs:
            return
        tags = {**self.tags, "trial_name": str(trial), "mlflow.runName": str(trial)}
        run = self._client.create_run(experiment_id=self.experiment_id, tags=tags)
        self._runs[trial.trial_id] = run.info.run_id
        if not self.log_params_on_trial_end:
            self._log_parameters(trial)

    def _log_parameters(self, trial: Trial) -> None:
        for name, value in flatten(trial.config).items():
            self._client.log_param(self._runs[trial.trial_id], _name(name), str(value)[:6000])

    def log_trial_result(self, iteration: int, trial: Trial, result: dict[str, Any]) -> None:
        run_id = self._runs.get(trial.trial_id)
        if run_id is None:
            return
        step = int(result.get("timesteps_total") or result["training_iteration"])
        entities: Any = import_module("mlflow.entities")
        metrics = [
            entities.Metric(_name(name), found, int(result["timestamp"]) * 1000, step)
            for name, value in flatten(result).items()
            if name.partition("/")[0] not in _LEFT_OUT and (found := number(value)) is not None
        ]
        self._client.log_batch(run_id, metrics=metrics)

    def log_trial_end(self, trial: Trial, failed: bool = False) -> None:
        run_id = self._runs.get(trial.trial_id)
        if run_id is None:
            return
        if self.log_params_on_trial_end:
            self._log_parameters(trial)
        if self.should_save_artifact and trial.path:
            self._client.log_artifacts(run_id, local_dir=trial.path)
        del self._runs[trial.trial_id]
        self._client.set_terminated(run_id, status="FAILED" if failed else "FINISHED")

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_client": None}


def setup_mlflow(
    config: dict[str, Any] | None = None,
    tracking_uri: str | None = None,
    registry_uri: str | None = None,
    experiment_id: str | None = None,
    experiment_name: str | None = None,
    tracking_token: str | None = None,
    run_name: str | None = None,
    create_experiment_if_not_exists: bool = False,
    tags: dict[str, Any] | None = None,
    rank_zero_only: bool = True,
) -> Any:
    """Begin a run of MLflow in a trial, for code that logs to MLflow by itself.

    Args:
        config: The trial's config, logged as parameters.
        tracking_uri: Where MLflow's runs go.
        registry_uri: Where its models go.
        experiment_id: The experiment's id.
        experiment_name: The experiment's name.
        tracking_token: Token for the tracking server.
        run_name: The run's name; the trial's by default.
        create_experiment_if_not_exists: Whether a missing experiment is made.
        tags: Tags of the run.
        rank_zero_only: Whether workers of a trainer beside the first one get a module that does nothing.

    Returns:
        The module ``mlflow``.

    Raises:
        ValueError: No such experiment.
    """
    import os

    from ray_async.tune.context import get_context

    if rank_zero_only and is_other_rank():
        return NoRun()
    mlflow = _mlflow()
    if tracking_token:
        os.environ["MLFLOW_TRACKING_TOKEN"] = tracking_token
    if tracking_uri:
        mlflow.set_tracking_uri(tracking_uri)
    if registry_uri:
        mlflow.set_registry_uri(registry_uri)
    if experiment_name is not None:
        if mlflow.get_experiment_by_name(experiment_name) is None and not create_experiment_if_not_exists:
            raise ValueError(
                f"MLflow has no experiment {experiment_name!r}: create_experiment_if_not_exists=True makes it"
            )
        mlflow.set_experiment(experiment_name)
    elif experiment_id is not None:
        mlflow.set_experiment(experiment_id=experiment_id)
    mlflow.start_run(run_name=run_name or get_context().get_trial_name(), tags=tags)
    mlflow.log_params({_name(name): str(value)[:6000] for name, value in flatten(config or {}).items()})
    return mlflow


def _mlflow() -> Any:
    try:
        return import_module("mlflow")
    except ModuleNotFoundError as error:
        raise ImportError("MLflow is needed: pip install mlflow-skinny (or mlflow)") from error


def _name(name: str) -> str:
    """A name as MLflow takes it."""
    return "".join(letter if letter.isalnum() or letter in "_-./ :" else "_" for letter in name)
