"""Kinds of plots by name."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ray_async.tune.plots.curves import plot_curves
from ray_async.tune.plots.history_plot import plot_history
from ray_async.tune.plots.importance import plot_importance
from ray_async.tune.plots.parallel_plot import plot_parallel
from ray_async.tune.plots.rungs import plot_rungs
from ray_async.tune.plots.search_data import SearchData

__all__ = ("KINDS", "plot")

KINDS: dict[str, Callable[[SearchData], Any]] = {
    "curves": plot_curves,
    "history": plot_history,
    "parallel": plot_parallel,
    "importance": plot_importance,
    "rungs": plot_rungs,
}


def plot(kind: str, data: SearchData) -> Any:
    """A figure of matplotlib.

    Args:
        kind: ``"curves"``, ``"history"``, ``"parallel"``, ``"importance"`` or ``"rungs"``.
        data: The search.

    Raises:
        ValueError: Another kind.
    """
    if kind not in KINDS:
        raise ValueError(f"there is no plot {kind!r}; there are {list(KINDS)}")
    return KINDS[kind](data)
