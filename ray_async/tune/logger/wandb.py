"""Weights & Biases logger: a run of W&B for each trial."""

from __future__ import annotations

import os
import pickle
from collections.abc import Sequence
from importlib import import_module
from typing import TYPE_CHECKING, Any

import numpy as np

from ray_async.tune.json_values import json_value
from ray_async.tune.logger.logger_callback import LoggerCallback
from ray_async.tune.logger.other_ranks import NoRun, is_other_rank
from ray_async.tune.metric import flatten

if TYPE_CHECKING:
    from ray_async.tune.experiment.trial import Trial

__all__ = ("WandbLoggerCallback", "setup_wandb")

_LEFT_OUT = frozenset(("config", "done", "should_checkpoint", "checkpoint_dir_name"))


class WandbLoggerCallback(LoggerCallback):
    """Logs configs and reports to W&B. Needs wandb.

    Args:
        project: The project; None: the variable ``WANDB_PROJECT_NAME``.
        group: Group of the runs; None: the trainable's name, or ``WANDB_GROUP_NAME``.
        api_key_file: File that holds the key.
        api_key: The key; None: the file, or what ``wandb login`` has left.
        excludes: Metrics and config keys that are not logged.
        log_config: Whether the config is logged with each report.
        upload_checkpoints: Whether a trial's last checkpoint is uploaded at its end.
        save_checkpoints: Older name of the same.
        upload_timeout: Seconds that W&B may take for what is left at a trial's end.
        kwargs: What ``wandb.init`` takes.

    Raises:
        ImportError: wandb is not installed.
        ValueError: A key is given twice, or no project.

    Example:
        >>> callback = WandbLoggerCallback(project="lr", mode="offline")  # doctest: +SKIP
    """

    def __init__(
        self,
        project: str | None = None,
        group: str | None = None,
        api_key_file: str | None = None,
        api_key: str | None = None,
        excludes: Sequence[str] | None = None,
        log_config: bool = False,
        upload_checkpoints: bool = False,
        save_checkpoints: bool = False,
        upload_timeout: int = 1800,
        **kwargs: Any,
    ) -> None:
        _wandb()
        self.project = project or os.environ.get("WANDB_PROJECT_NAME")
        if not self.project:
            raise ValueError("WandbLoggerCallback needs a project: give it, or set WANDB_PROJECT_NAME")
        self.group = group or os.environ.get("WANDB_GROUP_NAME")
        self.api_key = _key(api_key, api_key_file)
        self.excludes = frozenset(excludes or ()) | _LEFT_OUT
        self.log_config = log_config
        self.upload_checkpoints = upload_checkpoints or save_checkpoints
        self.upload_timeout = upload_timeout
        self.kwargs = kwargs
        self._runs: dict[str, Any] = {}

    def setup(self, *args: Any, **kwargs: Any) -> None:
        if self.api_key is not None:
            _wandb().login(key=self.api_key)

    def log_trial_start(self, trial: Trial) -> None:
        if trial.trial_id in self._runs:
            return
        config = {name: value for name, value in _plain(trial.config).items() if name not in self.excludes}
        options = {
            "id": trial.trial_id,
            "name": str(trial),
            "resume": "allow",
            "reinit": "create_new",
            "group": self.group or trial.trainable_name,
            "project": self.project,
            "config": config,
            "dir": trial.path,
            **self.kwargs,
        }
        if trial.path is not None:
            os.makedirs(trial.path, exist_ok=True)
        settings = _wandb().Settings(silent=True, x_service_wait=self.upload_timeout)
        self._runs[trial.trial_id] = _wandb().init(**{"settings": settings, **options})

    def log_trial_result(self, iteration: int, trial: Trial, result: dict[str, Any]) -> None:
        run = self._runs.get(trial.trial_id)
        if run is None:
            return
        told = flatten({name: value for name, value in result.items() if name not in self.excludes})
        if self.log_config:
            told.update(flatten(_plain(trial.config), "config/"))
        known = {name: held for name, value in told.items() if (held := _value(value)) is not None}
        run.log(
            {name: held for name, held in known.items() if name not in self.excludes}, step=result["training_iteration"]
        )

    def log_trial_end(self, trial: Trial, failed: bool = False) -> None:
        run = self._runs.pop(trial.trial_id, None)
        if run is None:
            return
        if self.upload_checkpoints and trial.checkpoint is not None:
            artifact = _wandb().Artifact(name=f"checkpoint_{trial.trial_id}", type="model")
            artifact.add_dir(trial.checkpoint.path)
            run.log_artifact(artifact)
        run.finish(exit_code=1 if failed else 0)

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_runs": {}}


def setup_wandb(
    config: dict[str, Any] | None = None,
    api_key: str | None = None,
    api_key_file: str | None = None,
    rank_zero_only: bool = True,
    **kwargs: Any,
) -> Any:
    """Begin a run of W&B in a trial, for code that logs to W&B by itself.

    Args:
        config: The trial's config.
        api_key: The key.
        api_key_file: File that holds the key.
        rank_zero_only: Whether workers of a trainer beside the first one get a run that does nothing.
        kwargs: What ``wandb.init`` takes.

    Returns:
        The run.
    """
    from ray_async.tune.context import get_context

    if rank_zero_only and is_other_rank():
        return NoRun()
    key = _key(api_key, api_key_file)
    if key is not None:
        _wandb().login(key=key)
    context = get_context()
    options = {
        "id": context.get_trial_id(),
        "name": context.get_trial_name(),
        "group": context.get_experiment_name(),
        "resume": "allow",
        "config": _plain(config or {}),
    }
    return _wandb().init(**{name: value for name, value in {**options, **kwargs}.items() if value is not None})


def _wandb() -> Any:
    try:
        return import_module("wandb")
    except ModuleNotFoundError as error:
        raise ImportError("W&B is needed: pip install wandb") from error


def _key(key: str | None, file: str | None) -> str | None:
    if file is None:
        return key
    if key is not None:
        raise ValueError("give api_key or api_key_file, and not both")
    with open(os.path.expanduser(file)) as opened:
        return opened.readline().strip()


def _plain(config: dict[str, Any]) -> dict[str, Any]:
    plain: dict[str, Any] = json_value(config)
    return plain


def _value(value: Any) -> Any:
    """A metric as W&B takes it; None for what it cannot."""
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, (bool, int, float, str)):
        return value
    if type(value).__module__.startswith("wandb"):
        return value
    try:
        pickle.dumps(value)
    except Exception:  # whatever it is, W&B cannot keep it
        return None
    return json_value(value)
