"""The dataset: a lazy plan with methods that extend it and methods that run it, a module for each group of methods."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ray_async.data.dataset.dataset import Dataset
    from ray_async.data.dataset.materialized import MaterializedDataset

__all__ = ("Dataset", "MaterializedDataset")


def __getattr__(name: str) -> Any:
    from importlib import import_module

    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module = "dataset" if name == "Dataset" else "materialized"
    return getattr(import_module(f"ray_async.data.dataset.{module}"), name)
