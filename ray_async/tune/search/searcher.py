"""Searcher: the interface of algorithms that suggest configs and learn from results."""

from __future__ import annotations

import glob
import os
import pickle
from collections.abc import Mapping
from typing import Any, ClassVar

import cloudpickle

from ray_async.tune.metric import check_mode
from ray_async.tune.search.function_domain import unresolved
from ray_async.tune.search.variant_generator import flatten_path, unresolved_values

__all__ = ("INNER", "Searcher", "flat_domains", "nested")

# Key of the inner searcher's state in that of a searcher around it.
INNER = "searcher state"


class Searcher:
    """Interface of algorithms that suggest configs.

    Subclasses override `suggest` and `on_trial_complete`, and what else they need. `suggest` returns a config (flat or
    nested), None for "ask again when something has ended", or ``Searcher.FINISHED``.

    Args:
        metric: The metric that is optimised.
        mode: ``"min"`` or ``"max"``.

    Raises:
        ValueError: A mode that is neither.
    """

    FINISHED = "FINISHED"
    CKPT_FILE_TMPL = "searcher-state-{}.pkl"

    # Whether the results change what is suggested. Where they do not, trials are made ahead of need.
    learns: ClassVar[bool] = True

    def __init__(self, metric: str | None = None, mode: str | None = None) -> None:
        check_mode(mode)
        self._metric, self._mode = metric, mode

    @property
    def metric(self) -> str | None:
        """The metric that is optimised."""
        return self._metric

    @property
    def mode(self) -> str | None:
        """``"min"`` or ``"max"``."""
        return self._mode

    def set_search_properties(self, metric: str | None, mode: str | None, config: dict[str, Any], **spec: Any) -> bool:
        """Take metric, mode and search space from the search.

        Returns:
            Whether they were taken: False if the searcher has its own.
        """
        return False

    def suggest(self, trial_id: str) -> dict[str, Any] | str | None:
        """A config for a new trial.

        Args:
            trial_id: The trial's id.
        """
        raise NotImplementedError

    def on_trial_result(self, trial_id: str, result: dict[str, Any]) -> None:
        """A trial has reported."""

    def on_trial_complete(self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False) -> None:
        """A trial has ended.

        Args:
            trial_id: The trial.
            result: Its last result; None if it reported nothing.
            error: Whether it failed.
        """
        raise NotImplementedError

    def on_trial_stopped(self, trial_id: str, result: dict[str, Any] | None = None) -> None:
        """A trial was stopped by the scheduler before its own end."""
        self.on_trial_complete(trial_id, result)

    def replay(self, trial_id: str, config: dict[str, Any]) -> None:
        """Take a trial that was suggested before the search was restored.

        By default `suggest` is called again, and the config from before is used.

        Args:
            trial_id: The trial's id.
            config: Its config.
        """
        self.suggest(trial_id)

    def set_max_concurrency(self, max_concurrent: int) -> bool:
        """Take the limit of trials at once into the searcher's own hands.

        Returns:
            Whether the searcher does that.
        """
        return False

    def add_evaluated_point(
        self,
        parameters: dict[str, Any],
        value: float,
        error: bool = False,
        pruned: bool = False,
        intermediate_values: list[float] | None = None,
    ) -> None:
        """Tell the searcher of a config that was tried elsewhere.

        Args:
            parameters: The config.
            value: Its metric.
            error: Whether it failed.
            pruned: Whether it was stopped early.
            intermediate_values: What it had reported on the way.
        """
        raise NotImplementedError(f"{type(self).__name__} cannot be told of configs that were tried elsewhere")

    def add_evaluated_trials(self, trials_or_analysis: Any, metric: str) -> None:
        """Tell the searcher of the trials of another search.

        Args:
            trials_or_analysis: Trials, or an `ExperimentAnalysis`.
            metric: The metric's name.
        """
        for trial in getattr(trials_or_analysis, "trials", trials_or_analysis):
            if metric in trial.last_result:
                self.add_evaluated_point(trial.config, trial.last_result[metric], error=trial.status == "ERROR")

    def get_state(self) -> dict[str, Any]:
        """The state, for `set_state`."""
        return self.__dict__

    def set_state(self, state: dict[str, Any]) -> None:
        """Take a state that `get_state` gave."""
        self.__dict__.update(state)

    def save(self, checkpoint_path: str) -> None:
        """Write the state to a file."""
        with open(checkpoint_path, "wb") as file:
            cloudpickle.dump(self.get_state(), file)

    def restore(self, checkpoint_path: str) -> None:
        """Read the state from a file that `save` has written."""
        with open(checkpoint_path, "rb") as file:
            self.set_state(pickle.load(file))

    def save_to_dir(self, checkpoint_dir: str, session_str: str = "default") -> None:
        """Write the state into a directory, atomically.

        Args:
            checkpoint_dir: The directory.
            session_str: What distinguishes this file from others there.
        """
        target = os.path.join(checkpoint_dir, self.CKPT_FILE_TMPL.format(session_str))
        self.save(f"{target}.part")
        os.replace(f"{target}.part", target)

    def restore_from_dir(self, checkpoint_dir: str) -> None:
        """Read the latest state from a directory.

        Raises:
            RuntimeError: There is none.
        """
        found = glob.glob(os.path.join(checkpoint_dir, self.CKPT_FILE_TMPL.format("*")))
        if not found:
            raise RuntimeError(f"there is no state of a searcher in {checkpoint_dir}")
        self.restore(max(found, key=os.path.getmtime))


def flat_domains(space: Mapping[str, Any], searcher: str) -> dict[str, Any]:
    """The domains of a space by path, joined by slashes.

    Args:
        space: The search space.
        searcher: The searcher's name, for the error.

    Raises:
        ValueError: The space has a grid.
    """
    domains = {}
    for path, value in unresolved_values(space):
        if unresolved(value) and isinstance(value, dict):
            raise ValueError(
                f"{searcher} cannot search the grid at {flatten_path(path)!r}: give tune.choice(...) in place of "
                "tune.grid_search(...), or search with BasicVariantGenerator"
            )
        domains[flatten_path(path)] = value
    return domains


def nested(flat: Mapping[str, Any], space: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """A config whose keys are paths as a nest.

    Args:
        flat: Values by path.
        space: The search space: a key of it that has a slash itself stays as it is.
    """
    config: dict[str, Any] = {}
    for name, value in flat.items():
        if space is not None and name in space:
            config[name] = value
            continue
        inner = config
        *outer, last = str(name).split("/")
        for part in outer:
            inner = inner.setdefault(part, {})
        inner[last] = value
    return config
