"""Learning curves: the metric of each trial over its iterations, the best trial in front."""

from __future__ import annotations

from typing import Any

from ray_async.tune.plots.figure import ACCENT, BEST, new_figure
from ray_async.tune.plots.search_data import SearchData

__all__ = ("plot_curves",)


def plot_curves(data: SearchData) -> Any:
    """Draw learning curves.

    Args:
        data: The search.
    """
    figure, axes = new_figure(f"Learning curves: {data.metric}")
    best = data.best
    drawn = [trial for trial in data.trials if trial.curve[0]]
    # Fainter, the more there are.
    alpha = max(0.08, min(0.7, 8 / max(len(drawn), 1)))
    for trial in drawn:
        if trial is not best:
            _draw(axes, trial.curve, color=ACCENT, alpha=alpha, linewidth=1)
    if best is not None and best.curve[0]:
        _draw(axes, best.curve, color=BEST, alpha=1, linewidth=2)
        axes.plot([], [], color=BEST, linewidth=2, label=f"best: {best.value:.4g}")
        axes.legend(frameon=False)
    axes.set_xlabel(data.time_attr.replace("_", " "))
    axes.set_ylabel(data.metric)
    if data.time_attr == "training_iteration":
        axes.xaxis.get_major_locator().set_params(integer=True)
    return figure


def _draw(axes: Any, curve: tuple[list[float], list[float]], **style: Any) -> None:
    # A single report is no line.
    if len(curve[0]) == 1:
        axes.plot(*curve, marker="o", markersize=3, **style)
    else:
        axes.plot(*curve, **style)
