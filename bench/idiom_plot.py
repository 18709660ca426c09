"""The picture of asyncio's idioms: how many calls a second each contender gets through, beside plain asyncio."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from bench.plot import COLOURS, MET
from bench.result import Report, RowResult
from bench.subject import OURS
from bench.subjects.asyncio_idioms import SUBJECT

__all__ = ("PLAIN", "draw_idioms", "rates")

PLAIN = "plain asyncio"


def rates(row: RowResult) -> dict[str, float]:
    """Calls a second of each contender that has measured the row, plain asyncio (the floor) first."""
    found = {PLAIN: 1 / row.base_cost} if row.base_cost else {}
    for name, cost in row.costs.items():
        if cost.cost is not None and cost.cost.median > 0:
            found[name] = 1 / cost.cost.median
    return found


def draw_idioms(report: Report, path: Path) -> None:
    """Draw the idioms' rows into a file, whose suffix is the format.

    Raises:
        ImportError: matplotlib is not installed.
        ValueError: none of the rows was measured.
    """
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    rows = [row for row in report.rows if row.subject == SUBJECT.title and rates(row)]
    if not rows:
        raise ValueError("no row of asyncio's idioms was measured; there is nothing to draw")
    names = [PLAIN, *(name for name in report.versions if any(name in rates(row) for row in rows))]
    figure, axes = pyplot.subplots(figsize=(11, 1.6 + 0.22 * len(rows) * len(names)))
    for number, name in enumerate(names):
        _draw_contender(axes, rows, name, number, len(names))
    _label(axes, report, rows)
    figure.savefig(path, dpi=130, bbox_inches="tight")
    pyplot.close(figure)


def _draw_contender(axes: Any, rows: list[RowResult], name: str, number: int, count: int) -> None:
    height = 0.8 / count
    colour = "#9a9a9a" if name == PLAIN else MET if name == OURS else COLOURS[number % len(COLOURS)]
    places = [(at + (number - (count - 1) / 2) * height, rates(row).get(name, 0.0)) for at, row in enumerate(rows)]
    shown = [(at, rate) for at, rate in places if rate > 0]
    axes.barh([at for at, _ in shown], [rate for _, rate in shown], height=height, color=colour, label=name, zorder=2)
    for at, rate in shown:
        axes.text(rate, at, f" {rate:,.0f}/s", va="center", fontsize=7)


def _label(axes: Any, report: Report, rows: list[RowResult]) -> None:
    axes.set_xscale("log")
    axes.set_yticks(range(len(rows)), [row.name for row in rows])
    axes.tick_params(axis="y", length=0, labelsize=8.5)
    axes.invert_yaxis()
    axes.grid(axis="x", which="major", color="#dddddd", zorder=0)
    for side in ("top", "right", "left"):
        axes.spines[side].set_visible(False)
    axes.set_xlabel("calls a second (log scale; right is better)")
    kind = "smoke run, the numbers mean nothing" if report.quick else f"median of {report.rounds_in_words}"
    machine = f"{report.machine.get('processor', '')}, {report.machine.get('cores', '?')} cores"
    axes.set_title(f"asyncio's idioms ({kind})\n{machine}", fontsize=10, loc="left")
    axes.legend(fontsize=8, loc="lower right", bbox_to_anchor=(1.0, 1.0), ncol=4, frameon=False)
