"""Figure: an empty figure of matplotlib in the house's look, which belongs to no window and no global state."""

from __future__ import annotations

from typing import Any

__all__ = ("ACCENT", "BEST", "MUTED", "new_figure")

ACCENT, BEST, MUTED = "#2563eb", "#dc2626", "#94a3b8"


def new_figure(title: str, width: float = 7.0, height: float = 4.2, axes: bool = True) -> tuple[Any, Any]:
    """A figure, and its axes.

    Args:
        title: What it shows.
        width: Inches.
        height: Inches.
        axes: Whether it gets axes; else None.

    Raises:
        ImportError: matplotlib is not installed.
    """
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ModuleNotFoundError as error:
        raise ImportError("plots need matplotlib: pip install matplotlib") from error
    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)
    figure.suptitle(title, fontsize=11)
    if not axes:
        return figure, None
    found = figure.add_subplot()
    for side in ("top", "right"):
        found.spines[side].set_visible(False)
    found.grid(alpha=0.25)
    return figure, found
