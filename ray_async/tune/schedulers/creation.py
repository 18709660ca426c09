"""Creation of schedulers by name."""

from __future__ import annotations

import inspect
from importlib import import_module
from typing import Any

__all__ = ("SCHEDULERS", "create_scheduler")

_ROOM = "ray_async.tune.schedulers"
# Module and class of each scheduler that there is.
SCHEDULERS = {
    "fifo": ("trial_scheduler", "FIFOScheduler"),
    "async_hyperband": ("async_hyperband", "AsyncHyperBandScheduler"),
    "asynchyperband": ("async_hyperband", "AsyncHyperBandScheduler"),
    "hyperband": ("hyperband", "HyperBandScheduler"),
    "median_stopping_rule": ("median_stopping_rule", "MedianStoppingRule"),
    "medianstopping": ("median_stopping_rule", "MedianStoppingRule"),
    "hb_bohb": ("hb_bohb", "HyperBandForBOHB"),
    "pb2": ("pb2", "PB2"),
    "pbt": ("pbt", "PopulationBasedTraining"),
    "pbt_replay": ("pbt_replay", "PopulationBasedTrainingReplay"),
    "resource_changing": ("resource_changing_scheduler", "ResourceChangingScheduler"),
}


def create_scheduler(scheduler: str, **kwargs: Any) -> Any:
    """A scheduler by its name.

    Args:
        scheduler: The name.
        kwargs: Its arguments; those that it does not take are left out, as by Ray.

    Raises:
        ValueError: No scheduler has that name.

    Example:
        >>> type(create_scheduler("fifo")).__name__
        'FIFOScheduler'
    """
    name = scheduler.lower()
    if name not in SCHEDULERS:
        raise ValueError(f"there is no scheduler {scheduler!r}; there are {sorted(SCHEDULERS)}")
    module, kind = SCHEDULERS[name]
    found = getattr(import_module(f"{_ROOM}.{module}"), kind)
    taken = inspect.signature(found).parameters
    return found(**{key: value for key, value in kwargs.items() if key in taken})
