"""BayesOpt as a searcher."""

from ray_async.tune.search.bayesopt.bayesopt_search import BayesOptSearch

__all__ = ("BayesOptSearch",)
