"""Picture of measured rows: a panel for each value, with everyone who was measured and the bar that must be reached."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from bench.tune.rows import ROWS, Bar

__all__ = ("draw",)

Results = Mapping[str, Mapping[str, Mapping[str, float]]]

_COLUMNS = 2
#: What a value is called in a panel, and its unit.
_WORDS = {
    "rate": "per second",
    "slowing": "time of the last tenth over the first",
    "restore_s": "seconds to restore",
    "megabytes": "MB over the bare driver",
    "overhead": "time over the ideal, share",
    "idle": "idle workers, share",
    "seconds": "seconds to the first report",
}


@dataclass(frozen=True)
class _Panel:
    title: str
    bar: Bar
    limit: float
    values: dict[str, float]


def draw(results: Results, path: str) -> None:
    """Write a picture.

    Args:
        results: Values by row, contender and name.
        path: Where to write it.
    """
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    panels = list(_panels(results))
    rows = -(-len(panels) // _COLUMNS)
    figure, grid = pyplot.subplots(rows, _COLUMNS, figsize=(10, 1.25 * rows), squeeze=False)
    for axes, panel in zip(grid.flat, panels, strict=False):
        names = list(panel.values)
        for place, (name, value) in enumerate(reversed(panel.values.items())):
            axes.barh(place, value, 0.7, color="C0" if name == "ray_async" else "0.7")
            axes.text(value, place, f" {value:,.3g}" if value < 1000 else f" {value:,.0f}", va="center", fontsize=8)
        axes.axvline(panel.limit, color="C3", linestyle="--", linewidth=1)
        axes.set_yticks(range(len(names)), names[::-1], fontsize=8)
        axes.set_xlim(0, 1.25 * max(panel.limit, *panel.values.values()))
        axes.tick_params(axis="x", labelsize=7)
        axes.set_title(f"{panel.title} ({'at most' if panel.bar.at_most else 'at least'} the dashed line)", fontsize=8)
    for axes in grid.flat[len(panels) :]:
        axes.set_visible(False)
    figure.tight_layout()
    figure.savefig(path, dpi=110)
    pyplot.close(figure)


def _panels(results: Results) -> Iterator[_Panel]:
    for row in ROWS:
        seen = results.get(row.name, {})
        for bar in row.bars:
            reference = seen.get(bar.of, {}).get(bar.value, 1.0) if bar.of else 1.0
            values = {name: found[bar.value] for name, found in seen.items() if bar.value in found}
            if values:
                yield _Panel(f"{row.name}: {_WORDS.get(bar.value, bar.value)}", bar, bar.limit * reference, values)
