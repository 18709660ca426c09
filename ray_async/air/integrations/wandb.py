"""Names that programs of Ray import from here: what Tune has for wandb, which lies above this package."""

from __future__ import annotations

from importlib import import_module


def __getattr__(name: str) -> object:
    if name.startswith("__"):
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module("ray_async.tune.logger.wandb"), name)
