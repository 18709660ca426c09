"""HyperOpt as a searcher."""

from ray_async.tune.search.hyperopt.hyperopt_search import HyperOptSearch

__all__ = ("HyperOptSearch",)
