"""SMAC as a searcher."""

from ray_async.tune.search.smac.smac_search import SMACSearch

__all__ = ("SMACSearch",)
