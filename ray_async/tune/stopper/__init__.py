"""Stoppers: what ends trials, or a whole search, by results."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ray_async.submodules import exported

if TYPE_CHECKING:
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

# Homes of the names: each is imported at its first use, so that a search loads what it needs alone.
_HOMES = {
    "iterations": ("MaximumIterationStopper", "TimeoutStopper"),
    "plateaus": ("ExperimentPlateauStopper", "TrialPlateauStopper"),
    "stopper": ("CombinedStopper", "FunctionStopper", "NoopStopper", "Stopper"),
}
_MODULES = {name: f"{__name__}.{module}" for module, names in _HOMES.items() for name in names}


def __getattr__(name: str) -> object:
    return exported(__name__, _MODULES, name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
