"""Stoppers: what ends trials, or a whole search, by results."""

from ray_async.tune.stopper.stopper import CombinedStopper, FunctionStopper, NoopStopper, Stopper

__all__ = ("CombinedStopper", "FunctionStopper", "NoopStopper", "Stopper")
