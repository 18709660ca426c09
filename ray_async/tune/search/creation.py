"""Creation of searchers by name."""

from __future__ import annotations

import inspect
from importlib import import_module
from typing import Any

__all__ = ("SEARCHERS", "create_searcher")

# Module and class of each searcher that there is.
SEARCHERS = {
    "variant_generator": ("ray_async.tune.search.basic_variant", "BasicVariantGenerator"),
    "random": ("ray_async.tune.search.basic_variant", "BasicVariantGenerator"),
    "ax": ("ray_async.tune.search.ax", "AxSearch"),
    "bayesopt": ("ray_async.tune.search.bayesopt", "BayesOptSearch"),
    "bohb": ("ray_async.tune.search.bohb", "TuneBOHB"),
    "hyperopt": ("ray_async.tune.search.hyperopt", "HyperOptSearch"),
    "nevergrad": ("ray_async.tune.search.nevergrad", "NevergradSearch"),
    "optuna": ("ray_async.tune.search.optuna", "OptunaSearch"),
    "smac": ("ray_async.tune.search.smac", "SMACSearch"),
    "zoopt": ("ray_async.tune.search.zoopt", "ZOOptSearch"),
}


def create_searcher(search_alg: str, **kwargs: Any) -> Any:
    """A searcher by its name.

    Args:
        search_alg: The name.
        kwargs: Its arguments; those that it does not take are left out, as by Ray.

    Raises:
        ValueError: No searcher has that name.

    Example:
        >>> type(create_searcher("random", max_concurrent=2)).__name__
        'BasicVariantGenerator'
    """
    name = search_alg.lower()
    if name not in SEARCHERS:
        raise ValueError(f"there is no searcher {search_alg!r}; there are {sorted(SEARCHERS)}")
    module, kind = SEARCHERS[name]
    searcher = getattr(import_module(module), kind)
    taken = inspect.signature(searcher).parameters
    return searcher(**{key: value for key, value in kwargs.items() if key in taken})
