"""Schedulers: pure objects that decide which trials go on."""

from ray_async.tune.schedulers.async_hyperband import ASHAScheduler, AsyncHyperBandScheduler
from ray_async.tune.schedulers.creation import create_scheduler
from ray_async.tune.schedulers.hb_bohb import HyperBandForBOHB
from ray_async.tune.schedulers.hyperband import HyperBandScheduler
from ray_async.tune.schedulers.median_stopping_rule import MedianStoppingRule
from ray_async.tune.schedulers.pb2 import PB2
from ray_async.tune.schedulers.pbt import PopulationBasedTraining
from ray_async.tune.schedulers.pbt_replay import PopulationBasedTrainingReplay
from ray_async.tune.schedulers.resource_changing_scheduler import (
    DistributeResources,
    DistributeResourcesToTopJob,
    ResourceChangingScheduler,
)
from ray_async.tune.schedulers.trial_scheduler import FIFOScheduler, TrialScheduler

__all__ = (
    "PB2",
    "ASHAScheduler",
    "AsyncHyperBandScheduler",
    "DistributeResources",
    "DistributeResourcesToTopJob",
    "FIFOScheduler",
    "HyperBandForBOHB",
    "HyperBandScheduler",
    "MedianStoppingRule",
    "PopulationBasedTraining",
    "PopulationBasedTrainingReplay",
    "ResourceChangingScheduler",
    "TrialScheduler",
    "create_scheduler",
)
