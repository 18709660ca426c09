"""Logger callback: the interface of callbacks that write what trials report."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ray_async.tune.callback import Callback

if TYPE_CHECKING:
    from ray_async.air.checkpoint import Checkpoint
    from ray_async.tune.experiment.trial import Trial

__all__ = ("LoggerCallback",)


class LoggerCallback(Callback):
    """Interface of loggers: subclasses override what they need.

    Each trial that was started is ended, once, before the search ends: those that were cut off too.
    """

    def log_trial_start(self, trial: Trial) -> None:
        """A trial starts, or goes on."""

    def log_trial_restore(self, trial: Trial) -> None:
        """A trial starts from a checkpoint."""

    def log_trial_save(self, trial: Trial) -> None:
        """A trial was saved."""

    def log_trial_result(self, iteration: int, trial: Trial, result: dict[str, Any]) -> None:
        """A trial has reported."""

    def log_trial_end(self, trial: Trial, failed: bool = False) -> None:
        """A trial has ended, or was cut off."""

    # What the search calls.

    def on_trial_start(self, iteration: int, trials: list[Trial], trial: Trial, **info: Any) -> None:
        self._open_trials().setdefault(trial.trial_id, trial)
        self.log_trial_start(trial)

    def on_trial_restore(self, iteration: int, trials: list[Trial], trial: Trial, **info: Any) -> None:
        self.log_trial_restore(trial)

    def on_trial_save(self, iteration: int, trials: list[Trial], trial: Trial, **info: Any) -> None:
        self.log_trial_save(trial)

    def on_trial_result(
        self, iteration: int, trials: list[Trial], trial: Trial, result: dict[str, Any], **info: Any
    ) -> None:
        self.log_trial_result(iteration, trial, result)

    def on_trial_complete(self, iteration: int, trials: list[Trial], trial: Trial, **info: Any) -> None:
        self._end(trial, failed=False)

    def on_trial_error(self, iteration: int, trials: list[Trial], trial: Trial, **info: Any) -> None:
        self._end(trial, failed=True)

    def on_checkpoint(
        self, iteration: int, trials: list[Trial], trial: Trial, checkpoint: Checkpoint, **info: Any
    ) -> None:
        """A checkpoint was taken: `log_trial_save` has been called for it."""

    def on_experiment_end(self, trials: list[Trial], **info: Any) -> None:
        for trial in list(self._open_trials().values()):
            self._end(trial, failed=False)

    def _open_trials(self) -> dict[str, Trial]:
        # Subclasses need not call an __init__ of this class.
        found: dict[str, Trial] = self.__dict__.setdefault("_started", {})
        return found

    def _end(self, trial: Trial, failed: bool) -> None:
        if self._open_trials().pop(trial.trial_id, None) is not None:
            self.log_trial_end(trial, failed=failed)
