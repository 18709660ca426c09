"""Ax as a searcher."""

from ray_async.tune.search.ax.ax_search import AxSearch

__all__ = ("AxSearch",)
