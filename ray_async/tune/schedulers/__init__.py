"""Schedulers: pure objects that decide which trials go on."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ray_async.submodules import exported

if TYPE_CHECKING:
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

# Homes of the names: each is imported at its first use, so that a search loads what it needs alone.
_HOMES = {
    "async_hyperband": ("ASHAScheduler", "AsyncHyperBandScheduler"),
    "creation": ("create_scheduler",),
    "hb_bohb": ("HyperBandForBOHB",),
    "hyperband": ("HyperBandScheduler",),
    "median_stopping_rule": ("MedianStoppingRule",),
    "pb2": ("PB2",),
    "pbt": ("PopulationBasedTraining",),
    "pbt_replay": ("PopulationBasedTrainingReplay",),
    "resource_changing_scheduler": ("DistributeResources", "DistributeResourcesToTopJob", "ResourceChangingScheduler"),
    "trial_scheduler": ("FIFOScheduler", "TrialScheduler"),
}
_MODULES = {name: f"{__name__}.{module}" for module, names in _HOMES.items() for name in names}


def __getattr__(name: str) -> object:
    return exported(__name__, _MODULES, name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
