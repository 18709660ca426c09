"""Nevergrad as a searcher."""

from ray_async.tune.search.nevergrad.nevergrad_search import NevergradSearch

__all__ = ("NevergradSearch",)
