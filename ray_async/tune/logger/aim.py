"""Aim logger: a run of Aim for each trial."""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module
from typing import TYPE_CHECKING, Any

from ray_async.tune.logger.logger_callback import LoggerCallback
from ray_async.tune.metric import flatten, lookup, number

if TYPE_CHECKING:
    from ray_async.tune.experiment.trial import Trial

__all__ = ("AimLoggerCallback",)

_LEFT_OUT = frozenset(("config", "done", "timestamp", "pid", "date", "hostname", "node_ip", "trial_id"))


class AimLoggerCallback(LoggerCallback):
    """Logs configs and reports to Aim. Needs aim.

    Args:
        repo: Directory or address of Aim's repository; None: the experiment's directory.
        experiment_name: Name of the experiment.
        metrics: Metrics that are logged; None: all numbers.
        aim_run_kwargs: What Aim's run takes.

    Raises:
        ImportError: aim is not installed.

    Example:
        >>> callback = AimLoggerCallback(metrics=["loss"])  # doctest: +SKIP
    """

    def __init__(
        self,
        repo: str | None = None,
        experiment_name: str | None = None,
        metrics: Sequence[str] | None = None,
        **aim_run_kwargs: Any,
    ) -> None:
        _aim()
        self.repo, self.experiment_name = repo, experiment_name
        self.metrics = None if metrics is None else list(metrics)
        self.run_kwargs = aim_run_kwargs
        self._runs: dict[str, Any] = {}

    def log_trial_start(self, trial: Trial) -> None:
        if trial.trial_id in self._runs:
            return
        run = _aim().Run(
            repo=self.repo or (trial.path or "").rpartition("/")[0] or None,
            experiment=self.experiment_name or trial.trainable_name,
            **self.run_kwargs,
        )
        run["trial_id"] = trial.trial_id
        run["hparams"] = {
            name: value if _is_plain(value) else str(value) for name, value in flatten(trial.config).items()
        }
        self._runs[trial.trial_id] = run

    def log_trial_result(self, iteration: int, trial: Trial, result: dict[str, Any]) -> None:
        run = self._runs.get(trial.trial_id)
        if run is None:
            return
        step = result.get("timesteps_total") or result["training_iteration"]
        names = self.metrics or [name for name in flatten(result) if name.partition("/")[0] not in _LEFT_OUT]
        for name in names:
            found = number(lookup(result, name))
            if found is not None:
                run.track(found, name=name, step=step, context={"subset": "eval"} if name.startswith("eval/") else None)

    def log_trial_end(self, trial: Trial, failed: bool = False) -> None:
        run = self._runs.pop(trial.trial_id, None)
        if run is not None:
            run.close()

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_runs": {}}


def _aim() -> Any:
    try:
        return import_module("aim")
    except ModuleNotFoundError as error:
        raise ImportError("Aim is needed: pip install aim") from error


def _is_plain(value: Any) -> bool:
    return value is None or isinstance(value, (bool, int, float, str))
