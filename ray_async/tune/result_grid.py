"""Names that programs of Ray import from here: the outcomes of a search."""

from ray_async.tune.results.result_grid import ResultGrid

__all__ = ("ResultGrid",)
