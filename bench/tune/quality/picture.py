"""Picture: curves of contenders with their bands, a panel for each problem."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from bench.tune.quality.bands import Band

__all__ = ("Panel", "draw")

Panel = tuple[str, str, str, Mapping[str, Band], bool]
# Ours, the reference, what is without either.
_STYLES: tuple[dict[str, Any], ...] = (
    {"color": "#2563eb", "linewidth": 2},
    {"color": "#dc2626", "linewidth": 2, "linestyle": "--"},
    {"color": "#94a3b8", "linewidth": 1.5, "linestyle": ":"},
)


def draw(panels: Sequence[Panel], columns: int, title: str, path: str) -> None:
    """Write a picture.

    Args:
        panels: Title, labels of both axes, bands by contender, and whether values are drawn by their logarithm.
        columns: Panels in a row.
        title: What stands above all.
        path: The file.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    rows = -(-len(panels) // columns)
    figure = Figure(figsize=(4.3 * columns, 3.3 * rows + 0.5), layout="constrained")
    FigureCanvasAgg(figure)
    figure.suptitle(title)
    grid = figure.subplots(rows, columns, squeeze=False)
    for axes in grid.flat[len(panels) :]:
        axes.set_axis_off()
    for axes, (name, across, up, bands, is_log) in zip(grid.flat, panels, strict=False):
        for style, (contender, found) in zip(_STYLES, bands.items(), strict=False):
            steps = range(1, len(found.mean) + 1)
            axes.plot(steps, found.mean, label=contender, **style)
            axes.fill_between(steps, found.low, found.high, color=style["color"], alpha=0.15, linewidth=0)
        axes.set_title(name, fontsize=10)
        axes.set_xlabel(across, fontsize=9)
        axes.set_ylabel(up, fontsize=9)
        if is_log:
            axes.set_yscale("log")
        axes.tick_params(labelsize=8)
        axes.grid(alpha=0.25)
        axes.spines[["top", "right"]].set_visible(False)
        axes.legend(frameon=False, fontsize=8)
    figure.savefig(path, dpi=110)
