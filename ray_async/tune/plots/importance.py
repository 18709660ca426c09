"""Importance: which share of the metric's variance each parameter explains by itself.

The measure is the correlation ratio (Pearson, 1905) over groups of trials: choices as they are, numbers in groups of
equally many; it is corrected for the groups' number (Kelley, 1935), so that chance alone gives 0.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ray_async.tune.metric import number
from ray_async.tune.plots.figure import ACCENT, new_figure
from ray_async.tune.plots.search_data import SearchData

__all__ = ("importances", "plot_importance")

MAX_SHOWN = 15


def importances(data: SearchData) -> dict[str, float]:
    """The share of each parameter, from 0 to 1, the most important one first.

    Args:
        data: The search.
    """
    trials = data.scored
    found = {}
    for name in data.parameters():
        held = [(trial.config[name], trial.value) for trial in trials if name in trial.config]
        found[name] = _ratio([value for value, _ in held], np.array([metric for _, metric in held]))
    return dict(sorted(found.items(), key=lambda item: -item[1]))


def _ratio(values: list[Any], metrics: Any) -> float:
    count = len(values)
    if count < 4 or not metrics.std() > 0:
        return 0.0
    # Ranks, so that one metric far off does not decide alone.
    ranked = np.argsort(np.argsort(metrics)).astype(float)
    groups = _groups(values)
    labels = np.unique(groups)
    if len(labels) < 2 or len(labels) >= count:
        return 0.0
    within = sum(((ranked[groups == label] - ranked[groups == label].mean()) ** 2).sum() for label in labels)
    total = ((ranked - ranked.mean()) ** 2).sum()
    corrected = 1 - (within / (count - len(labels))) / (total / (count - 1))
    return float(min(max(corrected, 0.0), 1.0))


def _groups(values: list[Any]) -> Any:
    numbers = [None if isinstance(value, bool) else number(value) for value in values]
    texts = [repr(value) for value in values]
    if any(value is None for value in numbers) or len(set(texts)) <= 8:
        return np.unique(texts, return_inverse=True)[1]
    size = max(int(np.sqrt(len(values))), 2)
    places = np.argsort(np.argsort(np.array(numbers, dtype=float), kind="stable"))
    return places * size // len(values)


def plot_importance(data: SearchData) -> Any:
    """Draw the importance of parameters.

    Args:
        data: The search.
    """
    shares = list(importances(data).items())[:MAX_SHOWN][::-1]
    figure, axes = new_figure(f"Importance for {data.metric}", height=max(2.0, 0.9 + 0.38 * len(shares)))
    bars = axes.barh([name for name, _ in shares], [share for _, share in shares], color=ACCENT, height=0.6)
    axes.bar_label(bars, [f"{share:.0%}" for _, share in shares], padding=4, fontsize=8)
    axes.set_xlim(0, 1.08)
    axes.set_xlabel("share of the variance that the parameter explains by itself")
    axes.grid(False)
    return figure
