"""Rows of cases with load."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from bench.subject import Bar, Row, Unit

__all__ = ("FLOOR", "LOAD_QUICK", "load_row", "percentile_row")

FLOOR = "bare uvicorn"
LOAD = {"load_seconds": 2}
LOAD_QUICK = {"load_seconds": 1}


def load_row(
    name: str,
    case: str,
    connections: int,
    *,
    floor: str | None = None,
    bar: Bar | None = None,
    more: Mapping[str, float | int | str | bool] | None = None,
) -> Row:
    """A row that shows a rate of requests.

    Args:
        name: The row's name.
        case: The case.
        connections: Open connections, each with one request at a time.
        floor: The floor's case.
        bar: What is to be reached.
        more: More parameters of the case.
    """
    return Row(
        name,
        case,
        unit=Unit.RATE,
        floor=floor,
        floor_title=FLOOR if floor else "",
        bar=bar,
        params={**LOAD, "connections": connections, **(more or {})},
        quick=LOAD_QUICK,
    )


def percentile_row(row: Row, name: str, metric: str, bar: Bar | None = None, unit: Unit = Unit.TIME) -> Row:
    """Another metric of the same load: a percentile of the latency, or the CPU time."""
    return replace(row, name=name, metric=metric, unit=unit, bar=bar, floor_metric=metric)
