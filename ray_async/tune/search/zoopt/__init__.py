"""ZOOpt as a searcher."""

from ray_async.tune.search.zoopt.zoopt_search import ZOOptSearch

__all__ = ("ZOOptSearch",)
