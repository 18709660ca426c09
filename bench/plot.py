"""The picture of a run: how far ray_async and its peers are from each row's bar."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from bench.result import Report, RowResult
from bench.subject import OURS

__all__ = ("distances", "draw_plot")

MET, MISSED = "#2a8a57", "#c8502d"
COLOURS = ("#4468b0", "#8a5aa8", "#c79a1b", "#3aa0a8", "#444444", "#b0447a")
MARKERS = ("o", "s", "D", "^", "X", "v")


def distances(row: RowResult) -> dict[str, float]:
    """Each contender's cost as a multiple of what the bar allows: at most 1 is good enough.

    ray_async's is its verdict's; a peer's is scaled from it by the medians of their costs, where it did the same
    amount of work. Empty without a verdict.
    """
    verdict, ours = row.verdict, row.costs.get(OURS)
    if verdict is None or verdict.value is None or ours is None or ours.cost is None:
        return {}
    own = verdict.value / verdict.limit
    found = {OURS: own}
    for name, cost in row.costs.items():
        if name != OURS and not row.smaller and cost.cost is not None and ours.cost.median > 0:
            found[name] = own * cost.cost.median / ours.cost.median
    return found


def draw_plot(report: Report, path: Path) -> None:
    """Draw all rows with a verdict into a file, whose suffix is the format.

    Raises:
        ImportError: matplotlib is not installed.
        ValueError: no row has a verdict.
    """
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    rows = [(row, distances(row)) for row in report.rows if distances(row)]
    if not rows:
        raise ValueError("no row with a bar was measured for ray_async; there is nothing to draw")
    figure, axes = pyplot.subplots(figsize=(11, 1.8 + 0.34 * len(rows)))
    _draw_rows(axes, rows)
    _draw_peers(axes, rows, [name for name in report.versions if name != OURS])
    _label(axes, report, rows)
    figure.savefig(path, dpi=130, bbox_inches="tight")
    pyplot.close(figure)


def _draw_rows(axes: Any, rows: list[tuple[RowResult, dict[str, float]]]) -> None:
    """ray_async's bars run from 1, to the left when it is better than asked."""
    for at, (_, found) in enumerate(rows):
        value = max(found[OURS], 1e-4)
        axes.barh(at, value - 1, left=1, height=0.62, color=MET if value <= 1 else MISSED, zorder=2)


def _draw_peers(axes: Any, rows: list[tuple[RowResult, dict[str, float]]], names: list[str]) -> None:
    for number, name in enumerate(names):
        points = [(found[name], at) for at, (_, found) in enumerate(rows) if found.get(name, 0) > 0]
        if points:
            xs, ys = zip(*points, strict=True)
            colour, marker = COLOURS[number % len(COLOURS)], MARKERS[number % len(MARKERS)]
            axes.scatter(
                xs, ys, s=34, color=colour, marker=marker, label=name, zorder=3, edgecolor="white", linewidth=0.5
            )


def _label(axes: Any, report: Report, rows: list[tuple[RowResult, dict[str, float]]]) -> None:
    from matplotlib.patches import Patch

    axes.set_xscale("log")
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:g}x")
    axes.axvline(1, color="black", linewidth=1.2, zorder=4)
    axes.set_yticks(range(len(rows)), [f"{row.name}  [{row.verdict.text if row.verdict else ''}]" for row, _ in rows])
    axes.tick_params(axis="y", length=0, labelsize=8.5)
    axes.set_ylim(len(rows) - 0.4, -0.6)
    axes.grid(axis="x", which="major", color="#dddddd", zorder=0)
    for side in ("top", "right", "left"):
        axes.spines[side].set_visible(False)
    axes.set_xlabel("cost as a multiple of what is allowed (log scale; left of 1 is better than asked)")
    kind = "smoke run, the numbers mean nothing" if report.quick else f"median of {report.rounds_in_words}"
    machine = f"{report.machine.get('processor', '')}, {report.machine.get('cores', '?')} cores"
    axes.set_title(f"ray_async against its bars ({kind})\n{machine}", fontsize=10, loc="left")
    handles = [Patch(color=MET, label="ray_async, bar met"), Patch(color=MISSED, label="ray_async, bar not met")]
    peers = axes.get_legend_handles_labels()[0]
    axes.legend(
        handles=[*handles, *peers], fontsize=8, loc="lower center", bbox_to_anchor=(0.3, 1.04), ncol=4, frameon=False
    )
