"""The pictures of Data's runs: time against rows, and peak memory, for each system."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from bench.data.subjects.scaling import CASES, SIZES, name_of
from bench.plot import COLOURS, MARKERS, MET
from bench.result import Report
from bench.subject import OURS

__all__ = ("draw_memory", "draw_scaling", "memory", "scaling")


def scaling(report: Report, case: str) -> dict[str, list[tuple[int, float]]]:
    """For each system, rows and seconds."""
    rows = {row.name: row for row in report.rows}
    found: dict[str, list[tuple[int, float]]] = {}
    for size in SIZES:
        row = rows.get(name_of(case, size))
        for name, cost in (row.costs if row is not None else {}).items():
            if cost.cost is not None:
                found.setdefault(name, []).append((size, cost.cost.median))
    return found


def memory(report: Report) -> dict[str, dict[str, float]]:
    """For each row about memory, bytes of each system."""
    ending = ": peak memory"
    return {
        row.name.removesuffix(ending): {name: cost.cost.median for name, cost in row.costs.items() if cost.cost}
        for row in report.rows
        if row.name.endswith(ending) and any(cost.cost for cost in row.costs.values())
    }


def draw_scaling(report: Report, path: Path) -> None:
    """Draw time against rows into a file, whose suffix is the format.

    Raises:
        ImportError: matplotlib is not installed.
        ValueError: nothing of it was measured.
    """
    pyplot = _pyplot()
    curves = {case: scaling(report, case) for case in CASES}
    if not any(curves.values()):
        raise ValueError("time against rows was not measured; there is nothing to draw")
    figure, parts = pyplot.subplots(1, len(CASES), figsize=(4.6 * len(CASES), 4.4), sharey=True)
    names = [name for name in _names(report) if any(name in found for found in curves.values())]
    for axes, (case, found) in zip(parts, curves.items(), strict=True):
        for number, name in enumerate(names):
            points = found.get(name, [])
            style = {"marker": MARKERS[number % len(MARKERS)], "color": _colour(name, number), "label": name}
            width = 2.4 if name == OURS else 1.4
            axes.plot([x for x, _ in points], [y for _, y in points], linewidth=width, markersize=5, **style)
        axes.set_xscale("log")
        axes.set_yscale("log")
        axes.set_xlabel("rows")
        axes.set_title(CASES[case], fontsize=10, loc="left")
        _plain(axes, "both")
    parts[0].set_ylabel("seconds (log scale)")
    parts[0].yaxis.set_major_formatter(lambda value, _: f"{value:g}")
    figure.suptitle(_caption(report, "Time against rows, from Parquet files"), fontsize=10, x=0.01, ha="left")
    figure.tight_layout(rect=(0, 0, 1, 0.98))
    handles, labels = parts[0].get_legend_handles_labels()
    figure.legend(
        handles, labels, fontsize=8, frameon=False, ncol=len(names), loc="upper left", bbox_to_anchor=(0, 0.955)
    )
    figure.savefig(path, dpi=130)
    pyplot.close(figure)


def draw_memory(report: Report, path: Path) -> None:
    """Draw the peak memory of all processes; as `draw_scaling`."""
    pyplot = _pyplot()
    found = memory(report)
    if not found:
        raise ValueError("no memory was measured; there is nothing to draw")
    names = [name for name in _names(report) if any(name in costs for costs in found.values())]
    figure, axes = pyplot.subplots(figsize=(9, 1.4 + 0.16 * len(names) * len(found)))
    height = 0.8 / len(names)
    for number, name in enumerate(names):
        bars = [(at, costs[name]) for at, costs in enumerate(found.values()) if name in costs]
        places = [at - 0.4 + height * (number + 0.5) for at, _ in bars]
        axes.barh(places, [size / 1e9 for _, size in bars], height, color=_colour(name, number), label=name, zorder=2)
    axes.set_yticks(range(len(found)), list(found), fontsize=8.5)
    axes.invert_yaxis()
    axes.set_xlabel("GB, all processes of a system together: private memory, and shared files once")
    _plain(axes, "x")
    axes.set_title(_caption(report, "Peak memory"), fontsize=10, loc="left")
    axes.legend(fontsize=8, frameon=False)
    figure.savefig(path, dpi=130, bbox_inches="tight")
    pyplot.close(figure)


def _pyplot() -> Any:
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    return pyplot


def _names(report: Report) -> list[str]:
    names: Mapping[str, str] = report.versions
    return [OURS, *(name for name in names if name != OURS)]


def _colour(name: str, number: int) -> str:
    return MET if name == OURS else COLOURS[number % len(COLOURS)]


def _plain(axes: Any, grid: str) -> None:
    axes.grid(which="major", axis=grid, color="#dddddd", zorder=0)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)


def _caption(report: Report, title: str) -> str:
    kind = "smoke run, the numbers mean nothing" if report.quick else f"medians of {report.rounds_in_words}"
    return f"{title} ({kind}; {report.machine.get('cores', '?')} cores)"
