"""TensorBoard logger: scalars of each report, and the config with the last result as hyperparameters."""

from __future__ import annotations

import numbers
from importlib import import_module
from typing import TYPE_CHECKING, Any

import numpy as np

from ray_async.tune.logger.logger_callback import LoggerCallback
from ray_async.tune.metric import flatten, number
from ray_async.tune.verbosity import BLACKLISTED_KEYS

if TYPE_CHECKING:
    from ray_async.tune.experiment.trial import Trial

__all__ = ("TBXLoggerCallback",)

_LEFT_OUT = BLACKLISTED_KEYS | {"checkpoint_dir_name", "training_iteration"}


class TBXLoggerCallback(LoggerCallback):
    """Writes TensorBoard's event files into the directories of trials. Needs tensorboardX.

    Numbers become scalars under ``ray/tune/``, arrays of two and more numbers histograms, and at a trial's end the
    scalar leaves of its config its hyperparameters. A trial's file is open while the trial runs, and no longer.

    Raises:
        ImportError: tensorboardX is not installed.

    Example:
        >>> config = RunConfig(callbacks=[TBXLoggerCallback()])  # doctest: +SKIP
    """

    def __init__(self) -> None:
        _tensorboardx()
        self._writers: dict[str, Any] = {}

    def log_trial_start(self, trial: Trial) -> None:
        if trial.trial_id not in self._writers and trial.path is not None:
            self._writers[trial.trial_id] = _tensorboardx().SummaryWriter(trial.path, flush_secs=30)

    def log_trial_result(self, iteration: int, trial: Trial, result: dict[str, Any]) -> None:
        writer = self._writers.get(trial.trial_id)
        if writer is None:
            return
        step = result.get("timesteps_total") or result["training_iteration"]
        reported = {name: value for name, value in result.items() if name not in _LEFT_OUT}
        for name, value in flatten(reported).items():
            tag = f"ray/tune/{name}"
            if isinstance(value, np.ndarray) and value.size > 1 and value.dtype.kind in "iuf":
                writer.add_histogram(tag, value, global_step=step)
            elif isinstance(value, numbers.Real) or (hasattr(value, "__float__") and not isinstance(value, str)):
                plain = number(value)
                if plain is not None:
                    writer.add_scalar(tag, plain, global_step=step)

    def log_trial_end(self, trial: Trial, failed: bool = False) -> None:
        writer = self._writers.pop(trial.trial_id, None)
        if writer is None:
            return
        parameters = _hyperparameters(trial)
        metrics = {
            f"ray/tune/{name}": found
            for name, value in flatten(trial.last_result).items()
            if name.partition("/")[0] not in _LEFT_OUT and (found := number(value)) is not None
        }
        if parameters and metrics:
            _add_hyperparameters(writer, parameters, metrics)
        writer.close()

    def __getstate__(self) -> dict[str, Any]:
        # Files are this process's; a restored search opens its own.
        return {**self.__dict__, "_writers": {}}


def _tensorboardx() -> Any:
    try:
        return import_module("tensorboardX")
    except ModuleNotFoundError as error:
        raise ImportError("TBXLoggerCallback needs tensorboardX: pip install tensorboardX") from error


def _hyperparameters(trial: Trial) -> dict[str, Any]:
    """Scalar leaves of the config, those that were sampled too, as Python types; None as text, lists by index."""
    found: dict[str, Any] = {}
    for name, value in _leaves(trial.config, ""):
        if isinstance(value, np.generic):
            value = value.item()
        if isinstance(value, (bool, int, float, str)):
            found[name] = value
        elif value is None:
            found[name] = "None"
    return found


def _leaves(value: Any, path: str) -> Any:
    if isinstance(value, dict):
        items: Any = value.items()
    elif isinstance(value, (list, tuple)):
        items = enumerate(value)
    else:
        yield path, value
        return
    for key, item in items:
        yield from _leaves(item, f"{path}/{key}" if path else str(key))


def _add_hyperparameters(writer: Any, parameters: dict[str, Any], metrics: dict[str, float]) -> None:
    summaries: Any = import_module("tensorboardX.summary")
    experiment, begin, end = summaries.hparams(parameters, metrics)
    for summary in (experiment, begin, end):
        writer.file_writer.add_summary(summary)
