"""Experiments: trials, their checkpoints, and what a user gives as an experiment."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ray_async.tune.experiment.trial import Trial

if TYPE_CHECKING:
    from ray_async.tune.experiment.experiment import Experiment

__all__ = ("Experiment", "Trial")


def __getattr__(name: str) -> object:
    # The experiment knows trainables, which know trials.
    if name == "Experiment":
        from ray_async.tune.experiment.experiment import Experiment

        return Experiment
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
