"""History plot: each trial's metric in the order in which the trials were made, and the best so far."""

from __future__ import annotations

from typing import Any

from ray_async.tune.plots.figure import ACCENT, BEST, MUTED, new_figure
from ray_async.tune.plots.search_data import SearchData

__all__ = ("plot_history",)


def plot_history(data: SearchData) -> Any:
    """Draw the history of a search.

    Args:
        data: The search.
    """
    figure, axes = new_figure(f"History: {data.metric}")
    numbered = list(enumerate(data.trials, 1))
    ended = [(n, trial.value) for n, trial in numbered if trial.status == "TERMINATED" and trial in data.scored]
    other = [(n, trial.value) for n, trial in numbered if trial.status != "TERMINATED" and trial in data.scored]
    failed = [n for n, trial in numbered if trial.status == "ERROR"]
    if ended:
        axes.scatter(*zip(*ended, strict=True), s=18, color=ACCENT, alpha=0.7, label="trial", linewidths=0)
    if other:
        axes.scatter(*zip(*other, strict=True), s=18, color=MUTED, label="not ended", linewidths=0)
    axes.step(
        range(1, len(numbered) + 1), data.best_so_far(), where="post", color=BEST, linewidth=2, label="best so far"
    )
    for n in failed:
        axes.axvline(n, color=MUTED, alpha=0.3, linewidth=1, linestyle=":")
    if failed:
        axes.plot([], [], color=MUTED, linestyle=":", label="failed")
    axes.set_xlabel("trial")
    axes.set_ylabel(data.metric)
    axes.xaxis.get_major_locator().set_params(integer=True)
    axes.legend(frameon=False)
    return figure
