"""Search properties: metric, mode and space, handed to searchers of today's signature and of the older one."""

from __future__ import annotations

import inspect
import logging
from collections.abc import Callable
from typing import Any

__all__ = ("logger", "take_search_properties")

logger = logging.getLogger("ray_async.tune.search")


def take_search_properties(
    method: Callable[..., Any], metric: str | None, mode: str | None, config: dict[str, Any], spec: dict[str, Any]
) -> Any:
    """Call a searcher's `set_search_properties`, without what an older signature does not take.

    Args:
        method: The method.
        metric: The metric's name.
        mode: ``"min"`` or ``"max"``.
        config: The search space.
        spec: What else is known of the search.

    Returns:
        What the method returns: whether the searcher has taken them.
    """
    parameters = inspect.signature(method).parameters.values()
    if not any(parameter.kind is inspect.Parameter.VAR_KEYWORD for parameter in parameters):
        logger.warning(
            "Please update custom Searcher to take in function signature as ``def set_search_properties(metric, mode, "
            "config, **spec) -> bool``."
        )
        return method(metric, mode, config)
    return method(metric, mode, config, **spec)
