"""Experiments: trials, their checkpoints, and what a user gives as an experiment."""

from ray_async.tune.experiment.trial import Trial

__all__ = ("Trial",)
