"""The Markdown table of a run: ratios, so that it means something on another machine."""

from __future__ import annotations

from collections.abc import Sequence

from bench.result import Cost, Report, RowResult
from bench.subject import OURS

__all__ = ("render_table",)


def render_table(report: Report, rows: Sequence[str] = ()) -> str:
    """One line per row, for all rows or those that are named; each contender's cost as a multiple of the row's base.

    The column "1 =" names the base (a floor measured beside it, else ray_async itself) with its cost on this machine.
    Smaller is better everywhere. A peer that was given less work has its size in brackets; contenders that measured
    nothing are left out.

    Example: `print(render_table(report))`.
    """
    shown = [name for name in report.versions if name != OURS and _measured(report, name)]
    header = ["what", "1 =", OURS, f"{OURS} measured", *shown, "bar", "met"]
    lines = [_line(header), _line(["---"] * len(header))]
    subject = ""
    for row in report.rows:
        if rows and row.name not in rows:
            continue
        if not rows and row.subject != subject:
            subject = row.subject
            lines.append(_line([f"**{subject}**", *[""] * (len(header) - 1)]))
        lines.append(_line(_cells(row, shown)))
    return "\n".join([*lines, "", _caption(report)]) + "\n"


def _cells(row: RowResult, shown: list[str]) -> list[str]:
    verdict = row.verdict
    met = "" if verdict is None else {True: "yes", False: "**no**", None: "not measured"}[verdict.met]
    text = "" if verdict is None else verdict.text
    return [
        row.name,
        _base(row),
        _ratio(row.costs.get(OURS)),
        row.show(OURS),
        *(_peer_ratio(row, name) for name in shown),
        text,
        met,
    ]


def _base(row: RowResult) -> str:
    if row.base == OURS or row.base_cost is None:
        return row.base
    return f"{row.base} ({_duration(row.base_cost)})"


def _duration(seconds: float) -> str:
    for scale, name in ((1.0, "s"), (1e-3, "ms"), (1e-6, "µs")):
        if seconds >= scale:
            return f"{seconds / scale:.3g} {name}"
    return f"{seconds * 1e9:.3g} ns"


def _ratio(cost: Cost | None) -> str:
    if cost is None:
        return ""
    if cost.ratio is None:
        return "failed" if cost.error else ("measured alone" if cost.cost else "")
    value = cost.ratio.median
    return f"{value:,.0f}x" if value >= 100 else f"{value:.2g}x" if value < 10 else f"{value:.0f}x"


def _peer_ratio(row: RowResult, name: str) -> str:
    shown = _ratio(row.costs.get(name))
    return f"{shown} ({row.smaller})" if shown and row.smaller else shown


def _measured(report: Report, name: str) -> bool:
    return any(row.costs[name].cost for row in report.rows if name in row.costs)


def _line(cells: list[str]) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def _caption(report: Report) -> str:
    machine = report.machine
    facts = [f"{machine.get('processor', 'unknown processor')}, {machine.get('cores', '?')} cores"]
    facts += [f"{machine['memory_gb']} GB"] if "memory_gb" in machine else []
    facts += [str(machine[key]) for key in ("system", "python") if key in machine]
    versions = ", ".join(f"{name} {version}" for name, version in report.versions.items())
    kind = "a smoke run with tiny sizes: the numbers mean nothing" if report.quick else f"{report.rounds_in_words}"
    return f"Measured on {'; '.join(facts)}. {versions}. Medians of {kind}; {report.created}."
