"""Stoppers: what ends trials, or a whole search, by results."""

from ray_async.tune.stopper.iterations import MaximumIterationStopper, TimeoutStopper
from ray_async.tune.stopper.plateaus import ExperimentPlateauStopper, TrialPlateauStopper
from ray_async.tune.stopper.stopper import CombinedStopper, FunctionStopper, NoopStopper, Stopper

__all__ = (
    "CombinedStopper",
    "ExperimentPlateauStopper",
    "FunctionStopper",
    "MaximumIterationStopper",
    "NoopStopper",
    "Stopper",
    "TimeoutStopper",
    "TrialPlateauStopper",
)
