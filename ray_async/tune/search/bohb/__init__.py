"""BOHB as a searcher."""

from ray_async.tune.search.bohb.bohb_search import TuneBOHB

__all__ = ("TuneBOHB",)
