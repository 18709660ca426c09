"""Eight open connections on four replicas of a model of 10 ms that takes one request at a time: 400/s at most."""

from bench.serve.rows import load_row, percentile_row
from bench.subject import Bar, Subject, Unit

__all__ = ("SUBJECT",)

_rate = load_row(
    "8 connections, 4 replicas of 10 ms",
    "balance",
    8,
    floor="bare_balance",
    bar=Bar.at_most(1 / 380, Unit.RATE),
    more={"replicas": 4},
)

SUBJECT = Subject(
    "balance",
    "Requests spread over replicas",
    (
        _rate,
        percentile_row(_rate, "8 connections, 4 replicas of 10 ms: p99", "p99", Bar.at_most(0.025, Unit.TIME)),
    ),
)
