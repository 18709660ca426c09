"""Rung survival: how many trials have come how far, which shows where a scheduler has stopped them."""

from __future__ import annotations

from typing import Any

from ray_async.tune.plots.figure import ACCENT, new_figure
from ray_async.tune.plots.search_data import SearchData

__all__ = ("plot_rungs", "survivors")


def survivors(data: SearchData) -> tuple[list[float], list[int]]:
    """Times at which trials have ended, from 0 on, and how many had come beyond each.

    Args:
        data: The search.
    """
    ends = [trial.curve[0][-1] if trial.curve[0] else 0.0 for trial in data.trials]
    times = sorted({0.0, *ends})
    return times, [sum(end > time for end in ends) for time in times]


def plot_rungs(data: SearchData) -> Any:
    """Draw the survival of trials.

    Args:
        data: The search.
    """
    figure, axes = new_figure("Survival: trials that have come beyond")
    times, counts = survivors(data)
    axes.step(times, counts, where="post", color=ACCENT, linewidth=2)
    axes.fill_between(times, counts, step="post", color=ACCENT, alpha=0.15, linewidth=0)
    # The steps that stop the most trials are rungs: these have their numbers.
    lost = {time: before - after for time, before, after in zip(times[1:], counts, counts[1:], strict=False)}
    for time in sorted(lost, key=lambda one: -lost[one])[:8]:
        if lost[time] > 1:
            after = counts[times.index(time)]
            axes.annotate(f"-{lost[time]}", (time, after), textcoords="offset points", xytext=(4, 4), fontsize=8)
    axes.set_xlabel(data.time_attr.replace("_", " "))
    axes.set_ylabel("trials")
    axes.set_ylim(0, max(counts, default=1) * 1.08 + 0.5)
    axes.set_xlim(left=0)
    axes.yaxis.get_major_locator().set_params(integer=True)
    return figure
