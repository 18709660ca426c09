"""Picture of measured rows: each value as a multiple of what it must reach, beside that of the peers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from bench.tune.rows import ROWS

__all__ = ("draw",)

Results = Mapping[str, Mapping[str, Mapping[str, float]]]


def draw(results: Results, path: str) -> None:
    """Write a picture: right of the line is better than the bar.

    Args:
        results: Values by row, contender and name.
        path: Where to write it.
    """
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot
    from matplotlib.ticker import LogLocator, NullLocator

    bars = list(_bars(results))
    figure, axes = pyplot.subplots(figsize=(8, 0.5 * len(bars) + 1.2))
    for place, (_, shares) in enumerate(reversed(bars)):
        height = 0.8 / len(shares)
        for number, (name, share) in enumerate(shares.items()):
            color = "C0" if name == "ray_async" else "0.6"
            axes.barh(place + 0.4 - height * (number + 0.5), share, height, color=color)
            axes.text(share, place + 0.4 - height * (number + 0.5), f" {name}", va="center", fontsize=7)
    axes.set_yticks(range(len(bars)), [label for label, _ in reversed(bars)], fontsize=8)
    axes.axvline(1, color="black", linewidth=1)
    axes.set_xscale("log")
    axes.set_xmargin(0.12)  # for the names behind the bars
    axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axes.xaxis.set_major_formatter("{x:g}")
    axes.xaxis.set_minor_locator(NullLocator())
    axes.set_xlabel("multiple of the bar (right is better)")
    figure.tight_layout()
    figure.savefig(path, dpi=120)
    pyplot.close(figure)


def _bars(results: Results) -> Any:
    for row in ROWS:
        seen = results.get(row.name, {})
        for bar in row.bars:
            reference = seen.get(bar.of, {}).get(bar.value, 1.0) if bar.of else 1.0
            limit = bar.limit * reference
            shares = {}
            for name, values in seen.items():
                value = values.get(bar.value)
                if value is not None and limit > 0:
                    shares[name] = limit / max(value, 1e-6) if bar.at_most else max(value, 1e-6) / limit
            if shares:
                yield f"{row.name}: {bar.value}", shares
