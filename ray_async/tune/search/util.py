"""Names that programs of Ray import from here: the log of searchers."""

from ray_async.tune.search.search_properties import logger

__all__ = ("logger",)
