"""Trial scheduler: the interface of what decides which trials go on, and the one that lets all go on."""

from __future__ import annotations

import pickle
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

from ray_async.tune.metric import check_mode

if TYPE_CHECKING:
    from ray_async.tune.experiment.trial import Trial

__all__ = ("FIFOScheduler", "TrialController", "TrialScheduler")


class TrialController(Protocol):
    """What a scheduler may ask of, and do to, the trials."""

    def get_trials(self) -> list[Trial]:
        """All trials."""

    def get_live_trials(self) -> list[Trial]:
        """Trials that have not ended."""

    def stop_trial(self, trial: Trial) -> None:
        """End a trial."""

    def pause_trial(self, trial: Trial, should_checkpoint: bool = True) -> None:
        """Pause a trial."""

    def save_trial(self, trial: Trial) -> None:
        """Ask a running trial of a class for a checkpoint."""

    def exploit(self, trial: Trial, donor: Trial, config: dict[str, Any], tag: str) -> None:
        """Let a trial go on from another one's checkpoint, with a config of its own."""

    @property
    def cluster_resources(self) -> dict[str, float]:
        """All that the session's nodes have, by resource."""

    def more_trials_may_come(self) -> bool:
        """Whether the search may still make trials."""


class TrialScheduler:
    """Interface of schedulers: pure objects that get what happens and answer what is to be done.

    Subclasses override what they need. `on_trial_result` answers with ``CONTINUE``, ``PAUSE``, ``STOP`` or ``NOOP``.
    A scheduler is pickled before a search begins, and is given the same calls again when the search is restored.
    """

    CONTINUE = "CONTINUE"
    PAUSE = "PAUSE"
    STOP = "STOP"
    NOOP = "NOOP"

    # Whether a trial waits at each report for the answer. Without it, quick reports are judged in batches.
    lockstep: ClassVar[bool] = True
    # Whether reports are answered at all.
    judges: ClassVar[bool] = True
    # How many trials are made ahead of need, where the searcher does not learn from results.
    lookahead: ClassVar[int] = 1

    _metric: str | None = None
    _mode: str | None = None
    _supports_buffered_results = True

    @property
    def metric(self) -> str | None:
        """The metric that decides."""
        return self._metric

    def set_search_properties(self, metric: str | None, mode: str | None, **spec: Any) -> bool:
        """Take metric and mode from the search.

        Args:
            metric: The metric's name.
            mode: ``"min"`` or ``"max"``.
            spec: What later versions may add.

        Returns:
            Whether they were taken: False if the scheduler has its own.
        """
        if (self._metric and metric) or (self._mode and mode):
            return False
        if metric:
            self._metric = metric
        if mode:
            check_mode(mode)
            self._mode = mode
        return True

    def on_trial_add(self, tune_controller: TrialController, trial: Trial) -> None:
        """A trial was made."""

    def on_trial_error(self, tune_controller: TrialController, trial: Trial) -> None:
        """A trial has failed for good."""

    def on_trial_result(self, tune_controller: TrialController, trial: Trial, result: dict[str, Any]) -> str:
        """A trial has reported.

        Returns:
            What it is to do.
        """
        return TrialScheduler.CONTINUE

    def on_trial_complete(self, tune_controller: TrialController, trial: Trial, result: dict[str, Any]) -> None:
        """A trial has ended."""

    def on_trial_remove(self, tune_controller: TrialController, trial: Trial) -> None:
        """A trial was ended that did not run."""

    def verdicts_at(self, trial: Trial) -> tuple[int, ...] | None:
        """Iterations at whose reports it may end or change a trial: a trial does not wait for an answer at others.

        It is asked each time that the trial starts.

        Args:
            trial: The trial.

        Returns:
            The iterations; None: any.
        """
        return None

    def is_full_length(self, trial: Trial, result: dict[str, Any]) -> bool:
        """Tell whether a trial that is stopped has run as far as any may: then it counts as ended by itself.

        Args:
            trial: The trial.
            result: Its last result.
        """
        return False

    def choose_trial_to_run(self, tune_controller: TrialController) -> Trial | None:
        """The trial that is to start, or to go on, next; None: none now."""
        for trial in tune_controller.get_live_trials():
            if trial.status == "PENDING":
                return trial
        for trial in tune_controller.get_live_trials():
            if trial.status == "PAUSED" and not trial.is_saving:
                return trial
        return None

    def debug_string(self) -> str:
        """The scheduler's state in a line."""
        return f"Using {type(self).__name__}."

    def save(self, checkpoint_path: str) -> None:
        """Write the state to a file."""
        with open(checkpoint_path, "wb") as file:
            pickle.dump(self.__dict__, file)

    def restore(self, checkpoint_path: str) -> None:
        """Read the state from a file that `save` has written."""
        with open(checkpoint_path, "rb") as file:
            self.__dict__.update(pickle.load(file))


class FIFOScheduler(TrialScheduler):
    """Trials start in the order in which they were made, and all go on."""

    lockstep = False
    judges = False

    def debug_string(self) -> str:
        return "Using FIFO scheduling algorithm."
