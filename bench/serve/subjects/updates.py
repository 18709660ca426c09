"""Rolling updates and scaling down and up, without a pause, under full load."""

from dataclasses import replace

from bench.serve.rows import LOAD_QUICK, load_row, percentile_row
from bench.subject import Bar, Subject, Unit

__all__ = ("SUBJECT",)

_rate = replace(
    load_row(
        "requests during updates",
        "update",
        32,
        more={"beside": "update_under_load", "load_seconds": 12, "seconds": 11.0},
    ),
    quick={**LOAD_QUICK, "seconds": 0.5},
)

SUBJECT = Subject(
    "updates",
    "Updates under load",
    (
        _rate,
        percentile_row(_rate, "requests in all", "requests", unit=Unit.COUNT),
        percentile_row(_rate, "failed requests", "failed", Bar(0.5, "0"), Unit.COUNT),
        percentile_row(_rate, "requests during updates: p99", "p99"),
    ),
)
