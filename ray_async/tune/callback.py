"""Callback: the interface of what wants to know how a search goes on."""

from __future__ import annotations

import logging
import os
import pickle
import sys
import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import cloudpickle

from ray_async.tune.execution import effects as e
from ray_async.tune.execution.policy_files import write_policies
from ray_async.tune.first_error import FirstError
from ray_async.tune.progress_reporter import CLIReporter, JupyterNotebookReporter, ProgressReporter, report_progress

if TYPE_CHECKING:
    from ray_async.air.checkpoint import Checkpoint
    from ray_async.tune.execution.search_spec import SearchSpec
    from ray_async.tune.execution.state import SearchState
    from ray_async.tune.experiment.trial import Trial

__all__ = ("Callback", "CallbackList")


class Callback:
    """Interface of callbacks: subclasses override what they need.

    ``iteration`` counts the calls, ``trials`` are all trials of the search, ``info`` is for later versions.

    Example:
        >>> class Printer(Callback):
        ...     def on_trial_result(self, iteration, trials, trial, result, **info):
        ...         print(trial, result["loss"])
    """

    def setup(
        self, stop: Any = None, num_samples: int | None = None, total_num_samples: int | None = None, **info: Any
    ) -> None:
        """The search begins.

        Args:
            stop: What ends trials.
            num_samples: How often the space is sampled.
            total_num_samples: How many trials there will be; None if that is not known.
        """

    def on_step_begin(self, iteration: int, trials: list[Trial], **info: Any) -> None:
        """Something has happened."""

    def on_step_end(self, iteration: int, trials: list[Trial], **info: Any) -> None:
        """What has happened was dealt with."""

    def on_trial_start(self, iteration: int, trials: list[Trial], trial: Trial, **info: Any) -> None:
        """A trial starts, or goes on."""

    def on_trial_restore(self, iteration: int, trials: list[Trial], trial: Trial, **info: Any) -> None:
        """A trial starts from a checkpoint."""

    def on_trial_save(self, iteration: int, trials: list[Trial], trial: Trial, **info: Any) -> None:
        """A trial was saved."""

    def on_trial_result(
        self, iteration: int, trials: list[Trial], trial: Trial, result: dict[str, Any], **info: Any
    ) -> None:
        """A trial has reported."""

    def on_trial_complete(self, iteration: int, trials: list[Trial], trial: Trial, **info: Any) -> None:
        """A trial has ended well."""

    def on_trial_recover(self, iteration: int, trials: list[Trial], trial: Trial, **info: Any) -> None:
        """A trial has failed, and will be started again."""

    def on_trial_error(self, iteration: int, trials: list[Trial], trial: Trial, **info: Any) -> None:
        """A trial has failed for good."""

    def on_checkpoint(
        self, iteration: int, trials: list[Trial], trial: Trial, checkpoint: Checkpoint, **info: Any
    ) -> None:
        """A trial's checkpoint was taken."""

    def on_experiment_end(self, trials: list[Trial], **info: Any) -> None:
        """The search has ended."""

    def get_state(self) -> dict[str, Any] | None:
        """The state, for `set_state`; None if there is none."""
        return None

    def set_state(self, state: dict[str, Any]) -> None:
        """Take a state that `get_state` gave."""


_logger = logging.getLogger("ray_async.tune")

# Where states of callbacks are kept, and the seconds from one writing to the next.
STATE_FILE = "callbacks.pkl"
STATE_SECONDS = 5.0
_HOOKS = (
    "on_trial_start",
    "on_trial_restore",
    "on_trial_save",
    "on_trial_result",
    "on_trial_complete",
    "on_trial_recover",
    "on_trial_error",
    "on_checkpoint",
)


def _overridden(callbacks: Sequence[Callback], name: str) -> list[Callable[..., None]]:
    """The methods of that name of those callbacks that have one of their own."""
    nothing = getattr(Callback, name)
    return [own for one in callbacks if getattr(own := getattr(one, name), "__func__", None) is not nothing]


class CallbackList:
    """Callbacks of a search, each told of every effect.

    Args:
        spec: The search.
        folder: The experiment's directory.
    """

    def __init__(self, spec: SearchSpec, folder: str) -> None:
        from ray_async.tune.logger.default_loggers import default_callbacks

        self._spec = spec
        self._folder = folder
        self._callbacks: Sequence[Callback] = default_callbacks(spec)
        # Callbacks of the user's own may write into a trial's directory, so they find it there.
        self._needs_folders = any(not type(one).__module__.startswith("ray_async.") for one in self._callbacks)
        self._reporter = _reporter(spec)
        self._iteration = 0
        self._state: SearchState | None = None
        self._folder = folder
        self._stateful = bool(_overridden(self._callbacks, "get_state"))
        self._saved = time.monotonic()
        self._methods = {name: _overridden(self._callbacks, name) for name in _HOOKS}
        # A scheduler may have policies that are written without callbacks, too.
        self._is_idle = not (self._callbacks or self._reporter or spec.tune.scheduler)

    @property
    def are_there(self) -> bool:
        """Whether there are any."""
        return bool(self._callbacks)

    def setup(self, state: SearchState, restored: bool = False) -> None:
        """Tell that the search begins.

        Args:
            state: The search.
            restored: Whether it goes on: callbacks get the states that they last had.
        """
        self._state = state
        if restored:
            self._restore()
        tune = self._spec.tune
        if self._reporter is not None:
            ended = sum(trial.is_finished() for trial in state.get_trials())
            more = {"ended": ended} if isinstance(self._reporter, CLIReporter) else {}
            self._reporter.setup(
                start_time=time.time(),
                total_samples=state.source.total_samples or None,
                metric=tune.metric or state.scheduler.metric,
                mode=tune.mode or state.scheduler._mode,
                **more,
            )
        for callback in self._callbacks:
            callback.setup(
                stop=self._spec.run.stop,
                num_samples=self._spec.tune.num_samples,
                total_num_samples=state.source.total_samples or None,
            )

    def take(self, effect: e.Effect) -> None:
        """Tell of an effect.

        Args:
            effect: The effect.
        """
        self._iteration += 1
        if self._is_idle:
            return
        if self._stateful and time.monotonic() > self._saved + STATE_SECONDS:
            self.save()
        if self._reporter is not None:
            report_progress(self._reporter, _Trials(self._state))
        if isinstance(effect, e.TrialReported):
            self._each("on_trial_result", effect.trial, result=effect.result)
        elif isinstance(effect, e.TrialStarted):
            self._each("on_trial_start", effect.trial)
            if effect.trial.latest is not None or effect.trial.restore_from is not None:
                self._each("on_trial_restore", effect.trial)
        elif isinstance(effect, e.CheckpointAdded):
            self._each("on_trial_save", effect.trial)
            self._each("on_checkpoint", effect.trial, checkpoint=effect.record.checkpoint)
        elif isinstance(effect, e.ConfigChanged):
            write_policies(self._state, self._folder)
        elif isinstance(effect, e.TrialRecovered):
            self._each("on_trial_recover", effect.trial)
        elif isinstance(effect, e.TrialEnded):
            self._each("on_trial_error" if effect.failed else "on_trial_complete", effect.trial)

    def _each(self, name: str, trial: Trial, **more: Any) -> None:
        if methods := self._methods[name]:
            trials = _Trials(self._state)
            if self._needs_folders and trial.path:
                os.makedirs(trial.path, exist_ok=True)
            for method in methods:
                method(iteration=self._iteration, trials=trials, trial=trial, **more)

    def save(self) -> None:
        """Write the states of the callbacks that have one."""
        self._saved = time.monotonic()
        states = {index: callback.get_state() for index, callback in enumerate(self._callbacks)}
        path = os.path.join(self._folder, STATE_FILE)
        with open(f"{path}.part", "wb") as file:
            cloudpickle.dump({index: state for index, state in states.items() if state is not None}, file)
        os.replace(f"{path}.part", path)

    def _restore(self) -> None:
        path = os.path.join(self._folder, STATE_FILE)
        if not os.path.exists(path):
            return
        with open(path, "rb") as file:
            states = pickle.load(file)
        for index, callback in enumerate(self._callbacks):
            if index in states:
                callback.set_state(states[index])

    def on_experiment_end(self, state: SearchState) -> None:
        """Tell that the search has ended: all callbacks, also where one fails.

        Args:
            state: The search.

        Raises:
            BaseException: The first that a callback raised; those of others are its notes.
        """
        first = FirstError()
        if self._stateful:
            with first:
                self.save()
        for callback in self._callbacks:
            with first:
                try:
                    callback.on_experiment_end(trials=state.get_trials())
                except KeyboardInterrupt:
                    _logger.warning("interrupted in on_experiment_end of %s", type(callback).__name__)
                    raise
        with first:
            report_progress(self._reporter, state.get_trials(), done=True)
        first.raise_it()


def _reporter(spec: SearchSpec) -> ProgressReporter | None:
    """What prints the progress: the user's reporter, or a table; nothing with ``verbose=0``."""
    verbose = spec.run.verbose
    if verbose is not None and int(verbose) == 0:
        return None
    if spec.run.progress_reporter is not None:
        reporter: ProgressReporter = spec.run.progress_reporter
        return reporter
    between = verbose is not None and int(verbose) > 1
    if _in_notebook():
        return JupyterNotebookReporter(max_report_frequency=1)
    if sys.stdout.isatty():
        return CLIReporter(max_report_frequency=1)
    return CLIReporter(print_intermediate_tables=between)


def _in_notebook() -> bool:
    """Tell whether what is displayed is seen in a notebook's cell."""
    shell = sys.modules.get("IPython")
    found: Any = shell.get_ipython() if shell is not None else None
    return found is not None and getattr(found, "kernel", None) is not None


class _Trials(list["Trial"]):
    """All trials of a search, as a list that is made when somebody looks into it."""

    def __init__(self, state: SearchState | None) -> None:
        super().__init__()
        self._state = state

    def _fill(self) -> None:
        if self._state is not None:
            self.extend(self._state.get_trials())
            self._state = None

    def __iter__(self) -> Any:
        self._fill()
        return super().__iter__()

    def __len__(self) -> int:
        self._fill()
        return super().__len__()

    def __getitem__(self, index: Any) -> Any:
        self._fill()
        return super().__getitem__(index)
