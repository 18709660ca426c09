"""Parallel coordinates: a line for each trial through its parameters to its metric, coloured by the metric."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from ray_async.tune.metric import number
from ray_async.tune.plots.figure import new_figure
from ray_async.tune.plots.search_data import SearchData

__all__ = ("plot_parallel",)

# Axes beyond this many are too close to be read.
MAX_AXES = 10


class _Scale:
    """Values of a parameter on a vertical axis from 0 to 1.

    Args:
        name: The parameter.
        values: Its values.
    """

    def __init__(self, name: str, values: Sequence[Any]) -> None:
        self.name = name
        numbers = [number(value) if not isinstance(value, bool) else None for value in values]
        self.texts: list[str] | None = None
        if any(value is None or not math.isfinite(value) for value in numbers):
            self.texts = sorted({str(value) for value in values})
            return
        known = [value for value in numbers if value is not None]
        self.low, self.high = min(known), max(known)
        self.log = self.low > 0 and self.high / self.low >= 100

    def place(self, value: Any) -> float:
        if self.texts is not None:
            return self.texts.index(str(value)) / max(len(self.texts) - 1, 1)
        found = number(value) or 0.0
        low, high = self.low, self.high
        if self.log:
            found, low, high = math.log(found), math.log(low), math.log(high)
        return (found - low) / (high - low) if high > low else 0.5

    def ticks(self) -> list[tuple[float, str]]:
        if self.texts is not None:
            step = max(len(self.texts) // 8, 1)
            return [(self.place(text), text[:14]) for text in self.texts[::step]]
        if self.high == self.low:
            return [(0.5, f"{self.low:.3g}")]
        middle = math.sqrt(self.low * self.high) if self.log else (self.low + self.high) / 2
        return [(self.place(value), f"{value:.3g}") for value in (self.low, middle, self.high)]


def plot_parallel(data: SearchData) -> Any:
    """Draw parallel coordinates; trials without a metric are left out.

    Args:
        data: The search.
    """
    names = data.parameters()[: MAX_AXES - 1]
    trials = [trial for trial in data.scored if all(name in trial.config for name in names)]
    figure, axes = new_figure(f"Parameters and {data.metric}", width=max(7.0, 1.5 * (len(names) + 1)))
    axes.grid(False)
    axes.set_axis_off()
    if not trials:
        axes.text(0.5, 0.5, "no trial has a metric yet", ha="center", transform=axes.transAxes)
        return figure
    scales = [_Scale(name, [trial.config[name] for trial in trials]) for name in names]
    scales.append(_Scale(data.metric, [trial.value for trial in trials]))
    # The best lines are drawn last, and darkest.
    order = sorted(trials, key=lambda trial: trial.value, reverse=data.mode == "min")
    colours = _colours(len(order))
    for rank, trial in enumerate(order):
        held = [trial.config[name] for name in names] + [trial.value]
        places = [scale.place(value) for scale, value in zip(scales, held, strict=True)]
        axes.plot(range(len(scales)), places, color=colours[rank], alpha=0.75, linewidth=1.2 + (rank == len(order) - 1))
    for x, scale in enumerate(scales):
        axes.plot([x, x], [0, 1], color="#334155", linewidth=1)
        axes.text(x, 1.06, scale.name, ha="center", fontsize=9, weight="bold" if x == len(scales) - 1 else None)
        for place, text in scale.ticks():
            axes.text(x + 0.03, place, text, fontsize=7.5, va="center", color="#334155", bbox=_BACK)
    axes.set_xlim(-0.15, len(scales) - 0.6)
    axes.set_ylim(-0.05, 1.14)
    return figure


_BACK = {"facecolor": "white", "alpha": 0.75, "edgecolor": "none", "pad": 0.8}


def _colours(count: int) -> Any:
    from matplotlib import colormaps

    found = colormaps["viridis_r"]
    return [found(0.15 + 0.85 * rank / max(count - 1, 1)) for rank in range(count)]
