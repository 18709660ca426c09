"""The pictures of Serve's runs: throughput against connections, and percentiles of latency, for each server."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from bench.plot import COLOURS, MARKERS, MET
from bench.result import Report
from bench.serve.rows import FLOOR
from bench.serve.subjects.echo import CONNECTIONS, FULL, PERCENTILES, name_of
from bench.subject import OURS

__all__ = ("draw_latencies", "draw_throughput", "latencies", "throughput")

Curves = dict[str, list[tuple[str, float]]]


def _curves(report: Report, names: Mapping[str, str], value: Callable[[float], float]) -> Curves:
    """The points of each server, bare first.

    Args:
        report: The run.
        names: Rows by what stands below them.
        value: Makes what is drawn of a cost.
    """
    rows = {row.name: row for row in report.rows}
    found: Curves = {}
    for label, name in names.items():
        row = rows.get(name)
        if row is None:
            continue
        if row.base == FLOOR and row.base_cost:
            found.setdefault(FLOOR, []).append((label, value(row.base_cost)))
        for contender, cost in row.costs.items():
            if cost.cost is not None and cost.cost.median > 0:
                found.setdefault(contender, []).append((label, value(cost.cost.median)))
    return found


def throughput(report: Report) -> Curves:
    """Requests a second by the number of connections."""
    return _curves(report, {str(count): name_of(count) for count in CONNECTIONS}, lambda cost: 1 / cost)


def latencies(report: Report) -> Curves:
    """Milliseconds by percentile."""
    names = {percent: f"{name_of(FULL)}: p{percent}" for percent in PERCENTILES.values()}
    return _curves(report, names, lambda cost: 1000 * cost)


def draw_throughput(report: Report, path: Path) -> None:
    """Draw throughput against connections into a file, whose suffix is the format.

    Raises:
        ImportError: matplotlib is not installed.
        ValueError: nothing of it was measured.
    """
    labels = [str(count) for count in CONNECTIONS]
    _draw(report, path, throughput(report), labels, ("open connections", "requests a second", "Echo, one replica"))


def draw_latencies(report: Report, path: Path) -> None:
    """Draw the percentiles of latency at 32 connections; as `draw_throughput`."""
    words = ("percentile", "milliseconds (log scale)", f"Latency of an echo, {FULL} connections")
    _draw(report, path, latencies(report), list(PERCENTILES.values()), words)


def _draw(report: Report, path: Path, curves: Curves, labels: Sequence[str], words: tuple[str, str, str]) -> None:
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    if not curves:
        raise ValueError("no echo was measured; there is nothing to draw")
    figure, axes = pyplot.subplots(figsize=(8.5, 5))
    for number, (name, points) in enumerate(curves.items()):
        colour = "#9a9a9a" if name == FLOOR else MET if name == OURS else COLOURS[number % len(COLOURS)]
        places = [labels.index(label) for label, _ in points]
        marker = MARKERS[number % len(MARKERS)]
        axes.plot(places, [value for _, value in points], marker=marker, color=colour, label=name, linewidth=1.6)
    _label(axes, report, labels, words)
    figure.savefig(path, dpi=130, bbox_inches="tight")
    pyplot.close(figure)


def _label(axes: Any, report: Report, labels: Sequence[str], words: tuple[str, str, str]) -> None:
    horizontal, vertical, title = words
    axes.set_yscale("log")
    axes.yaxis.set_major_formatter(lambda value, _: f"{value:,g}")
    axes.set_xticks(range(len(labels)), labels)
    axes.set_xlabel(horizontal)
    axes.set_ylabel(vertical)
    axes.grid(which="major", color="#dddddd", zorder=0)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    kind = "smoke run, the numbers mean nothing" if report.quick else f"median of {report.rounds} rounds"
    axes.set_title(f"{title} ({kind}; {report.machine.get('cores', '?')} cores)", fontsize=10, loc="left")
    axes.legend(fontsize=8, frameon=False)
