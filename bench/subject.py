"""What is measured: subjects, their rows, and the bar that each row has to reach.

Every number of the harness is a *cost* (seconds per operation, bytes, a ratio), so smaller is always better; a row's
unit only says how its cost is shown.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum

__all__ = ("FLOORS", "OURS", "Bar", "Reference", "Row", "Subject", "Unit")

FLOORS = "floors"
OURS = "ray_async"

Params = Mapping[str, float | int | str | bool]


class Unit(Enum):
    """How a cost is shown to people."""

    TIME = "time"
    RATE = "rate"
    BANDWIDTH = "bandwidth"
    BYTES = "bytes"
    COUNT = "count"
    FRACTION = "fraction"

    def show(self, cost: float, size: int = 0) -> str:
        """Render a cost: seconds for times, rates and bandwidths (of `size` bytes), else the plain amount.

        Example: `Unit.RATE.show(2e-6) == "500,000/s"`.
        """
        if self is Unit.RATE:
            return f"{_significant(1 / cost)}/s" if cost > 0 else "-"
        if self is Unit.BANDWIDTH:
            return f"{size / cost / 1e9:.2f} GB/s" if cost > 0 else "-"
        if self is Unit.BYTES:
            return f"{_significant(cost / 1e6)} MB"
        if self is Unit.COUNT:
            return f"{cost:,.0f}"
        if self is Unit.FRACTION:
            return f"{cost:.3g}"
        for scale, name in ((1.0, "s"), (1e-3, "ms"), (1e-6, "µs")):
            if cost >= scale:
                return f"{cost / scale:.3g} {name}"
        return f"{cost / 1e-9:.3g} ns"


def _significant(value: float) -> str:
    """Three significant digits, with thousands separated."""
    if value < 100:
        return f"{value:.3g}"
    magnitude = 10 ** (len(str(int(value))) - 3)
    return f"{round(value / magnitude) * magnitude:,.0f}"


@dataclass(frozen=True)
class Reference:
    """Whose cost a bar is a multiple of: a contender's case, or (contender None) the judged contender's own case."""

    contender: str | None
    case: str
    metric: str = "wall"


@dataclass(frozen=True)
class Bar:
    """What a row has to reach: `cost <= limit`, or `cost / reference's cost of the same round <= limit`."""

    limit: float
    text: str
    reference: Reference | None = None

    @classmethod
    def of_floor(cls, times: float, case: str, title: str, metric: str = "wall") -> Bar:
        """At most `times` the cost of a floor.

        Example: `Bar.of_floor(2, "socketpair", "socket pair").text == "≤ 2x socket pair"`.
        """
        return cls(times, f"≤ {times:g}x {title}", Reference(FLOORS, case, metric))

    @classmethod
    def share_of_floor(cls, share: float, case: str, title: str) -> Bar:
        """At least a share of the rate of a floor.

        Example: `Bar.share_of_floor(0.5, "bare_echo", "bare uvicorn").text == "≥ 0.5 of bare uvicorn"`.
        """
        return cls(1 / share, f"≥ {share:g} of {title}", Reference(FLOORS, case))

    @classmethod
    def of_own(cls, times: float, case: str, metric: str, title: str) -> Bar:
        """At most `times` what another case costs the same contender."""
        return cls(times, f"≤ {times:g}x {title}", Reference(None, case, metric))

    @classmethod
    def faster_than(cls, peer: str, times: float, case: str) -> Bar:
        """At least `times` as fast as a peer in the same case."""
        return cls(1 / times, f"{times:g}x as fast as {peer}", Reference(peer, case))

    @classmethod
    def at_most(cls, cost: float, unit: Unit) -> Bar:
        """A fixed limit on the cost itself; a rate is given as its cost, seconds per operation."""
        sign = "≥" if unit is Unit.RATE else "≤"
        return cls(cost, f"{sign} {unit.show(cost)}")


@dataclass(frozen=True)
class Row:
    """One line of the table.

    Args:
        name: unique name; that of Ray's microbenchmark where the work is the same.
        case: the work, by the name that the drivers know.
        metric: which of the case's metrics this row shows.
        unit: how to show it.
        floor: the floor's case that the row is a ratio to, if any.
        floor_title: what people call that floor.
        floor_metric: the floor's metric that it is a ratio to.
        bar: what has to be reached, if anything.
        params: arguments of the case ("bytes" is the size that a bandwidth is about). `quick` replaces some of them in
            a smoke run, `for_peers` for all but ray_async.
        fresh: measure in a driver process started for this alone.
    """

    name: str
    case: str
    metric: str = "wall"
    unit: Unit = Unit.TIME
    floor: str | None = None
    floor_title: str = ""
    floor_metric: str = "wall"
    bar: Bar | None = None
    params: Params = field(default_factory=dict)
    quick: Params = field(default_factory=dict)
    for_peers: Params = field(default_factory=dict)
    fresh: bool = False


@dataclass(frozen=True)
class Subject:
    """A file's worth of rows that belong together."""

    name: str
    title: str
    rows: tuple[Row, ...]
