"""Search: spaces, and the algorithms that draw or suggest configs of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ray_async.submodules import exported

if TYPE_CHECKING:
    from ray_async.tune.search.basic_variant import BasicVariantGenerator
    from ray_async.tune.search.concurrency_limiter import ConcurrencyLimiter
    from ray_async.tune.search.creation import create_searcher
    from ray_async.tune.search.repeater import Repeater
    from ray_async.tune.search.search_algorithm import SearchAlgorithm
    from ray_async.tune.search.search_generator import SearchGenerator
    from ray_async.tune.search.searcher import Searcher

__all__ = (
    "BasicVariantGenerator",
    "ConcurrencyLimiter",
    "Repeater",
    "SearchAlgorithm",
    "SearchGenerator",
    "Searcher",
    "create_searcher",
)

# Homes of the names: each is imported at its first use, so that a search loads what it needs alone.
_HOMES = {
    "basic_variant": ("BasicVariantGenerator",),
    "concurrency_limiter": ("ConcurrencyLimiter",),
    "creation": ("create_searcher",),
    "repeater": ("Repeater",),
    "search_algorithm": ("SearchAlgorithm",),
    "search_generator": ("SearchGenerator",),
    "searcher": ("Searcher",),
}
_MODULES = {name: f"{__name__}.{module}" for module, names in _HOMES.items() for name in names}


def __getattr__(name: str) -> object:
    return exported(__name__, _MODULES, name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
