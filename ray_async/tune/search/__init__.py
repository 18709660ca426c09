"""Search: spaces, and the algorithms that draw or suggest configs of them."""

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
