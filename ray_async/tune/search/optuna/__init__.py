"""Optuna as a searcher."""

from ray_async.tune.search.optuna.optuna_search import OptunaSearch

__all__ = ("OptunaSearch",)
