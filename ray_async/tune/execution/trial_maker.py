"""Trial maker: names, directories and resources of the trials of an experiment."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from ray_async.air.config import CheckpointConfig
from ray_async.tune.error import TuneError
from ray_async.tune.experiment.checkpoint_record import CheckpointRecord
from ray_async.tune.experiment.trial import Trial
from ray_async.tune.placement_groups import PlacementGroupFactory
from ray_async.tune.search.search_algorithm import Suggestion
from ray_async.tune.search.variant_generator import Path, flatten_path, format_vars

__all__ = ("TrialMaker",)

MAX_COMPONENT_BYTES = 255
MAX_IDENTIFIER = 130
_UNSAFE = re.compile(r"[^\w.,=+-]")


@dataclass
class TrialMaker:
    """Makes trials of suggestions.

    Args:
        trainable_name: Name of what is run.
        folder: The experiment's directory.
        resources: Gives what a trial takes, by its config.
        checkpoint_config: Which checkpoints stay.
        date: When the search began, as names of directories have it.
        name_creator: The user's function for names of trials.
        dirname_creator: The user's function for names of directories.
        begin_with: A checkpoint from which all trials begin.
    """

    trainable_name: str
    folder: str
    resources: Callable[[dict[str, Any]], PlacementGroupFactory]
    checkpoint_config: CheckpointConfig
    date: str
    name_creator: Callable[[Trial], str] | None = None
    dirname_creator: Callable[[Trial], str] | None = None
    begin_with: CheckpointRecord | None = None
    _number: int = 0
    _directories: set[str] = field(default_factory=set)
    _names_of: dict[Path, str] = field(default_factory=dict)
    _longest: int = field(default_factory=lambda: int(os.environ.get("TUNE_MAX_LEN_IDENTIFIER", MAX_IDENTIFIER)))

    @property
    def names(self) -> tuple[int, set[str]]:
        """How many trials were made, and the names of their directories."""
        return self._number, self._directories

    @names.setter
    def names(self, names: tuple[int, set[str]]) -> None:
        self._number, self._directories = names

    def make(self, suggestion: Suggestion) -> Trial:
        """Make a trial.

        Args:
            suggestion: Its id, config and drawn values.

        Raises:
            TuneError: A function of the user's for names raised, or gave no name.
        """
        self._number += 1
        tag = format_vars(suggestion.drawn)
        trial = Trial(
            self.trainable_name,
            config=suggestion.config,
            trial_id=suggestion.trial_id,
            evaluated_params={self._named(path): value for path, value in suggestion.drawn.items()},
            experiment_tag=f"{self._number}_{tag}" if tag else str(self._number),
            placement_group_factory=self.resources(suggestion.config),
            checkpoint_config=self.checkpoint_config,
        )
        trial.number = self._number
        trial.restore_from = self.begin_with
        if self.name_creator is not None:
            trial.custom_trial_name = self._created("trial_name_creator", self.name_creator, trial)
        trial.path = f"{self.folder}/{self._directory(trial)}"
        return trial

    def _named(self, path: Path) -> str:
        """A path as text, the same object each time: there are thousands of trials."""
        name = self._names_of.get(path)
        if name is None:
            name = self._names_of[path] = flatten_path(path)
        return name

    def _directory(self, trial: Trial) -> str:
        if self.dirname_creator is not None:
            name = self._created("trial_dirname_creator", self.dirname_creator, trial)
            if "/" in name or name in ("", ".", ".."):
                raise TuneError(f"trial_dirname_creator gave {name!r}, which is no name of a directory")
        else:
            head = _shortened(f"{_safe(str(trial))}_{trial.experiment_tag}", self._longest)
            name = f"{head}_{self.date}"
        name = _shortened(name, MAX_COMPONENT_BYTES)
        if name in self._directories:
            name = f"{_shortened(name, MAX_COMPONENT_BYTES - 1 - len(trial.trial_id))}_{trial.trial_id}"
        self._directories.add(name)
        return name

    @staticmethod
    def _created(setting: str, creator: Callable[[Trial], str], trial: Trial) -> str:
        try:
            name = creator(trial)
        except Exception as error:
            raise TuneError(f"{setting} ({creator!r}) raised {type(error).__name__}: {error}") from error
        if not isinstance(name, str):
            raise TuneError(f"{setting} ({creator!r}) must return a string, but gave {name!r}")
        return name


def _shortened(name: str, longest: int) -> str:
    if len(name) <= longest and name.isascii():
        return name
    return name.encode()[:longest].decode(errors="ignore")


def _safe(name: str) -> str:
    return _UNSAFE.sub("_", name).lstrip("-") or "_"
