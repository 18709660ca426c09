"""Schedulers: pure objects that decide which trials go on."""

from ray_async.tune.schedulers.async_hyperband import ASHAScheduler, AsyncHyperBandScheduler
from ray_async.tune.schedulers.creation import create_scheduler
from ray_async.tune.schedulers.hyperband import HyperBandScheduler
from ray_async.tune.schedulers.median_stopping_rule import MedianStoppingRule
from ray_async.tune.schedulers.pbt import PopulationBasedTraining
from ray_async.tune.schedulers.trial_scheduler import FIFOScheduler, TrialScheduler

__all__ = (
    "ASHAScheduler",
    "AsyncHyperBandScheduler",
    "FIFOScheduler",
    "HyperBandScheduler",
    "MedianStoppingRule",
    "PopulationBasedTraining",
    "TrialScheduler",
    "create_scheduler",
)
